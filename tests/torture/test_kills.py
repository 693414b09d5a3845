"""SIGKILL of the real program at random moments, while alerts come and go and people type."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.app.program import a_place
from tests.torture.arenas import Lived, alerts_over_kills, commands_over_kills
from tests.torture.crowd import CHATS, TYPIST, Crowd
from tests.torture.verdict import Verdict

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


@pytest.mark.parametrize(
    ("kills", "arenas"),
    [
        pytest.param(300, 1, marks=pytest.mark.timeout(300)),
        pytest.param(10_000, 2, marks=[pytest.mark.torture, pytest.mark.timeout(7_200)]),
    ],
)
async def test_over_kills_at_every_step_no_alert_is_lost_or_out_of_order_and_repeats_are_marked(
    kills: int, arenas: int, tmp_path: Path, record_property: Report
) -> None:
    begun = time.monotonic()
    folders = [tmp_path / str(number) for number in range(arenas)]
    for folder in folders:
        folder.mkdir()
    told = await asyncio.gather(
        *(alerts_over_kills(folder, n, kills // arenas) for n, folder in enumerate(folders))
    )
    verdicts = [one.verdict() for one in told]
    words = _words(told, verdicts, time.monotonic() - begun)
    record_property("summary", words)
    assert sum(sum(one.phases.values()) for one in told) == kills
    for verdict, one in zip(verdicts, told, strict=True):
        assert verdict.lost == [], words
        assert verdict.misordered == [], words
        assert verdict.unmarked == [], words
        assert verdict.unexpected == [], words
        assert verdict.uncovered == Counter(), words
        assert verdict.repeats.total() <= len(one.doubts)
        assert one.rows.keys() == {"sent"}, words


@pytest.mark.parametrize(
    ("commands", "kills"),
    [
        pytest.param(200, 6, marks=pytest.mark.timeout(300)),
        pytest.param(10_000, 200, marks=[pytest.mark.torture, pytest.mark.timeout(7_200)]),
    ],
)
async def test_over_kills_every_command_is_obeyed_once_and_answered(
    commands: int, kills: int, tmp_path: Path, record_property: Report
) -> None:
    begun = time.monotonic()
    obeyed, typists = await commands_over_kills(tmp_path, 5, commands, kills)
    order = ("start", "poll", "decide", "commit", "answer", "confirm")
    phases = ", ".join(f"{name} {obeyed.phases[name]}" for name in order)
    twice = [one for one in obeyed.watches if one not in typists.watches]
    words = (
        f"{commands} commands over {obeyed.phases.total()} kills ({phases}): "
        f"{commands - typists.heard} lost, {len(twice)} applied twice, {typists.repeats.total()} "
        f"answers again of {obeyed.doubts.total()} ambiguous outcomes, "
        f"{len(typists.faults)} unmarked or wrong, {time.monotonic() - begun:.0f} s"
    )
    record_property("summary", words)
    assert obeyed.phases.total() == kills
    assert (typists.said, typists.heard) == (commands, commands), words
    assert typists.faults == [], words
    assert obeyed.watches == typists.watches, words
    assert typists.repeats - obeyed.doubts == Counter(), words


def _words(told: Sequence[Lived], verdicts: Sequence[Verdict], seconds: float) -> str:
    phases = sum((one.phases for one in told), Counter[str]())
    order = ("start", "evaluate", "commit", "send", "settle")
    return (
        f"{phases.total()} kills ({', '.join(f'{name} {phases[name]}' for name in order)}): "
        f"{sum(one.alerts for one in verdicts)} alerts, "
        f"{sum(len(one.lost) for one in verdicts)} lost, "
        f"{sum(len(one.misordered) for one in verdicts)} out of order, "
        f"{sum(one.repeats.total() for one in verdicts)} repeats of "
        f"{sum(len(one.doubts) for one in told)} ambiguous outcomes, "
        f"{sum(len(one.unmarked) for one in verdicts)} unmarked, database intact, {seconds:.0f} s"
    )
