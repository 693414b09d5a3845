"""SIGKILL of the real program at random moments, while alerts come and go and people type."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.program import a_place
from tests.torture.crowd import CHATS, TYPIST, Crowd

Report = Callable[[str, object], None]


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(5, marks=pytest.mark.timeout(600)),
        pytest.param(200, marks=[pytest.mark.torture, pytest.mark.timeout(7_200)]),
    ],
)
async def test_over_kills_each_alert_is_told_and_each_command_obeyed_once(
    rounds: int, tmp_path: Path, record_property: Report
) -> None:
    async with a_place(tmp_path) as place:
        crowd = Crowd(place, rounds)
        crowd.prepare()
        await crowd.live_through(rounds)
    record_property("summary", _summary(crowd, rounds))
    _check_alerts(crowd)
    _check_rows(crowd)
    _check_commands(crowd)


def _summary(crowd: Crowd, rounds: int) -> str:
    ledger, answers = crowd.ledger, crowd.typist.heard(crowd)
    expected = sum(len(swing.done) * len(swing.chats) for swing in crowd.swings)
    repeats = ledger.repeats + sum(len(marks) - 1 for marks in answers.values())
    silent = len(ledger.unmarked) + sum(not all(marks[1:]) for marks in answers.values())
    return (
        f"{rounds} kills: {len(ledger.copies)} of {expected} alerts and {len(answers)} answers to "
        f"{crowd.typist.said} commands arrived, {repeats} came again, {silent} without the mark"
    )


def _check_alerts(crowd: Crowd) -> None:
    for swing in crowd.swings:
        for chat_id in swing.chats:
            assert crowd.ledger.order(chat_id, swing.symbol) == swing.done, (chat_id, swing.symbol)
    assert crowd.ledger.unmarked == []


def _check_rows(crowd: Crowd) -> None:
    """The program's own record: one row an alert, all sent, in the order of their decisions."""
    assert crowd.stored("PRAGMA integrity_check") == [("ok",)]
    rows = crowd.stored(
        "SELECT chat_id, status, message_id FROM outbox WHERE kind = 'alert' ORDER BY id"
    )
    assert len(rows) == len(crowd.ledger.copies)
    assert {status for _, status, _ in rows} == {"sent"}
    for chat_id in CHATS:
        messages = [message for chat, _, message in rows if chat == chat_id]
        assert messages == sorted(messages, key=int)  # type: ignore[arg-type]


def _check_commands(crowd: Crowd) -> None:
    kept = crowd.stored(
        f"SELECT number, line FROM watches WHERE chat_id = {TYPIST} ORDER BY number"
    )
    assert kept == sorted(crowd.typist.lines.items())
    answers = crowd.typist.heard(crowd)
    assert len(answers) == crowd.typist.said
    for words, text in zip(crowd.typist.answers, answers, strict=True):
        assert words in text
    assert all(all(marks[1:]) for marks in answers.values())
