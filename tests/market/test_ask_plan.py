"""When premiumIndex is asked, second by second."""

from collections.abc import Callable

import pytest

from bot.market.ask_plan import REPEAT, AskPlan, repeat_within

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


@pytest.mark.parametrize(
    ("wait", "sent", "times"),
    [
        (0.0, True, [4, 29, 54, 79]),
        (40.0, True, [4, 44, 84]),
        (30.0, False, [4, 34, 64, 94]),  # the budget knows when
    ],
)
def test_a_question_that_failed_is_put_again_when_it_may(
    wait: float, sent: bool, times: list[int]
) -> None:
    plan, found = AskPlan(0.0), []
    for now in range(100):
        if plan.is_due(float(now), float(now), lacking=True):
            found.append(now)
            plan.failed(float(now), wait, sent=sent)
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


@pytest.mark.parametrize("lacking", [True, False])
def test_a_look_after_a_reconnect_that_the_budget_held_back_is_had_when_it_allows(
    lacking: bool,
) -> None:
    plan = AskPlan(0.0)
    plan.answered(5.0, compared=True, differs=False, told=False)
    plan.reopened(100.0)
    plan.is_due(100.0, 100.0, lacking=lacking)
    assert plan.is_due(104.0, 104.0, lacking=lacking)
    plan.failed(104.0, 6.0, sent=False)
    assert not plan.is_due(109.0, 109.0, lacking=lacking)
    assert plan.is_due(110.0, 110.0, lacking=lacking)


@pytest.mark.parametrize(
    ("stale_after", "seconds"),
    [(3_600_000, 25.0), (30_000, 25.0), (28_000, 25.0), (20_000, 17.0), (13_000, 10.0),
     (1_000, 10.0)],
)  # fmt: skip
def test_it_is_asked_again_before_values_are_stale_as_far_as_the_budget_allows(
    stale_after: int, seconds: float
) -> None:
    assert repeat_within(stale_after) == seconds
    plan, times = AskPlan(0.0, seconds), []
    for now in range(300):
        if plan.is_due(float(now), None, lacking=True):
            times.append(now)
            plan.answered(float(now), compared=False, differs=False, told=False)
    assert times == list(range(5, 300, int(seconds)))
