"""Faults that are reported from where nothing can be awaited: each told once, and its end once."""

from collections.abc import Callable

import pytest

from bot.app.faults import Faults
from bot.app.reports import Reports
from bot.chat.router import CONFLICT, UNSTORED
from bot.notify.channel import Written
from bot.notify.payload import decode_payload
from bot.notify.port import DATABASE, TOKEN, UNREACHABLE

Step = Callable[[Reports], None]
AWAY = (
    "⚠️ <b>Telegram cannot be reached</b> since 1970-01-01 00:00 UTC (away). What is decided waits, "
    "and follows when it is back."
)
BACK = "✅ Telegram can be reached again; what waited is being sent. It lasted 0s."


def polls(kind: str, words: str | None) -> Step:
    return lambda reports: reports.polling(kind, words)


def sends(kind: str, words: str | None) -> Step:
    if words is None:
        return lambda reports: reports.end(kind)
    return lambda reports: reports.begin(kind, words)


def told(*steps: Step, faults: Faults | None = None) -> list[str]:
    """The first words of the notices that these steps lead to."""
    reports = Reports(faults or Faults(lambda: [(7, "en")]), lambda: 1_000)
    for step in steps:
        step(reports)
    written = [decode_payload(row) for row in reports.take()]
    assert all(isinstance(one, Written) for one in written)
    return [getattr(one, "text", "") for one in written]


@pytest.mark.parametrize("kind", [UNREACHABLE, TOKEN])
def test_telegram_out_of_reach_is_one_fault_whoever_meets_it(kind: str) -> None:
    away, back = AWAY if kind == UNREACHABLE else "⚠️ away", BACK
    poll, polled = polls(kind, "away"), polls(kind, None)
    send, sent = sends(kind, "away"), sends(kind, None)
    assert told(poll, send, polled, sent) == [away, back]
    assert told(send, poll, sent, polled) == [away, back]
    assert told(poll, send, sent) == [away]  # polls still fail
    assert told(send, sent) == [away, back]
    assert told(sent, polled) == []


def test_when_polls_are_answered_again_who_sends_is_told() -> None:
    heard: list[str] = []
    reports = Reports(Faults(list), lambda: 1_000)
    reports.answered = lambda: heard.append("answered")
    reports.polling(UNREACHABLE, "away")
    assert heard == []
    reports.polling(UNREACHABLE, None)
    assert heard == ["answered"]


def test_another_program_is_told_beside_it() -> None:
    assert told(
        polls(CONFLICT, "another program"), polls(UNREACHABLE, "away"),
        polls(UNREACHABLE, None), polls(CONFLICT, None),
    ) == [
        "⚠️ another program", AWAY, BACK, "✅ Commands are read again.",
    ]  # fmt: skip


def test_commands_that_cannot_be_stored_are_no_second_fault_of_the_database() -> None:
    faults = Faults(lambda: [(7, "en")])
    faults.begin(DATABASE, lambda _: "the disk is full", 1_000)
    assert told(polls(UNSTORED, "the disk is full"), polls(UNSTORED, None), faults=faults) == []
    assert told(polls(UNSTORED, "the disk is full")) == ["⚠️ the disk is full"]
