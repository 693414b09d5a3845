from dataclasses import replace
from typing import Any

import pytest

from bot.ops.judgement import Work, alive, ready

WELL = Work(turn_age=1.0, row_age=0.5, decided_age=0.7, is_telegram=True, answer_age=20.0)


def test_a_bot_that_does_its_work_is_alive_and_ready() -> None:
    assert (alive(WELL).ok, ready(WELL).ok) == (True, True)
    assert ready(WELL).text == "rows flow; messages can be sent"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"row_age": None, "decided_age": None}, "no row has come yet; messages can be sent"),
        ({"row_age": 23.4, "decided_age": 24.0}, "no new row for 23 s; messages can be sent"),
        ({"row_age": 23.4}, "no new row for 23 s; messages can be sent"),
        ({"decided_age": None}, "rows come, but none was decided on yet; messages can be sent"),
        ({"decided_age": 61.0}, "rows come, but none is newer than 61 s; messages can be sent"),
        ({"answer_age": None}, "rows flow; Telegram has not answered yet"),
        ({"answer_age": 90.6}, "rows flow; Telegram has not answered for 91 s"),
        (
            {"blocked": ("the token is refused", "the disk is full")},
            "rows flow; messages cannot be sent: the token is refused, the disk is full",
        ),
        (
            {"row_age": 11.0, "answer_age": None},
            "no new row for 11 s; Telegram has not answered yet",
        ),
    ],
)
def test_what_a_restart_does_not_mend_is_not_ready_but_alive(
    wrong: dict[str, Any], text: str
) -> None:
    work = replace(WELL, **wrong)
    assert (ready(work).ok, ready(work).text) == (False, f"not ready: {text}")
    assert alive(work).ok


@pytest.mark.parametrize("right", [{"row_age": 10.0}, {"decided_age": 10.0}, {"answer_age": 90.0}])
def test_a_short_wait_is_no_fault(right: dict[str, Any]) -> None:
    assert ready(replace(WELL, **right)).ok


def test_without_telegram_nobody_waits_for_its_answer() -> None:
    assert ready(replace(WELL, is_telegram=False, answer_age=None)).ok


def test_an_engine_that_takes_no_time_is_neither_alive_nor_ready() -> None:
    work = replace(WELL, turn_age=10.1)
    assert (alive(work).ok, alive(work).text) == (False, "stuck: nothing was decided for 10 s")
    assert (ready(work).ok, "stuck" in ready(work).text) == (False, True)
    assert alive(replace(WELL, turn_age=10.0)).ok
