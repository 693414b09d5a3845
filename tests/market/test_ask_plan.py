"""When premiumIndex is asked, second by second."""

from collections.abc import Callable

import pytest

from bot.market.ask_plan import REPEAT, AskPlan

Rows = Callable[[int], float | None]  # the stream's last row as of a second


def flowing(start: int, end: int = 10_000) -> Rows:
    """Rows every second from one second to another."""
    return lambda now: None if now < start else float(min(now, end))


def asked(
    rows: Rows, *, lacking: Callable[[int], bool] = lambda now: False, until: int = 120
) -> list[int]:
    """The seconds at which it is asked, all being well."""
    plan, times = AskPlan(0.0), []
    for now in range(until):
        last = rows(now)
        if plan.is_due(float(now), last, lacking=lacking(now)):
            fresh = last is not None and now - last < 5
            plan.answered(float(now), compared=fresh, differs=False, told=False)
            times.append(now)
    return times


@pytest.mark.parametrize(
    ("rows", "times"),
    [
        (flowing(1), [5]),  # once, when rows have flowed for 4 s
        (lambda now: None, [5]),  # or none came for 5 s
        (flowing(3), [7]),
        (flowing(8), [5, 30]),  # first to seed; then, with rows, to compare
    ],
)
def test_a_start_asks_once_rows_have_flowed_or_did_not_come(rows: Rows, times: list[int]) -> None:
    assert asked(rows) == times


def test_lacking_rows_are_asked_for_again_and_again() -> None:
    times = asked(flowing(0, 20), lacking=lambda now: now >= 50, until=200)
    assert times == [4, 50, *range(50 + int(REPEAT), 200, int(REPEAT))]


def test_a_reconnect_is_followed_by_one_question() -> None:
    plan, times = AskPlan(0.0), []
    for now in range(200):
        if now == 100:
            plan.reopened(float(now))
        last = float(now) if now < 90 or now >= 103 else 89.0
        if plan.is_due(float(now), last, lacking=False):
            plan.answered(float(now), compared=True, differs=False, told=False)
            times.append(now)
    assert times == [4, 107]


def test_sources_that_differ_are_looked_at_again_soon_and_then_each_minute() -> None:
    plan, times = AskPlan(0.0), []
    for now in range(200):
        if plan.is_due(float(now), float(now), lacking=False):
            times.append(now)
            plan.answered(float(now), compared=True, differs=now < 130, told=len(times) > 1)
    assert times == [4, 16, 76, 136]


@pytest.mark.parametrize(("wait", "times"), [(0.0, [4, 29, 54, 79]), (40.0, [4, 44, 84])])
def test_a_question_that_failed_is_put_again_when_it_may(wait: float, times: list[int]) -> None:
    plan, found = AskPlan(0.0), []
    for now in range(100):
        if plan.is_due(float(now), float(now), lacking=True):
            found.append(now)
            plan.failed(float(now), wait)
    assert found == times


def test_a_feed_that_comes_and_goes_is_not_asked_about_each_second() -> None:
    plan, times = AskPlan(0.0), []
    for now in range(300):
        if now % 3 == 0:
            plan.reopened(float(now))
        if plan.is_due(float(now), None, lacking=True):
            times.append(now)
            plan.answered(float(now), compared=False, differs=False, told=False)
    assert len(times) <= 300 / 10
