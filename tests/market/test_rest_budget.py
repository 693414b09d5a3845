"""The budget of REST requests: never near the venue's limits, whatever is asked of it."""

import random
from itertools import pairwise

import pytest

from bot.market.rest_budget import FUNDING_CALLS, OWN_WEIGHT, WEIGHTS, RestBudget


def sent(wishes: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """What a budget lets pass of (time, name) wishes."""
    budget, passed = RestBudget(), []
    for at, name in wishes:
        if budget.hold(name, at) is None:
            budget.spend(name, at)
            passed.append((at, name))
    return passed


def test_however_much_is_asked_the_own_limits_hold_in_every_window() -> None:
    draw = random.Random(7)
    wishes = sorted((draw.uniform(0, 900), draw.choice(list(WEIGHTS))) for _ in range(20_000))
    passed = sent(wishes)
    for start, _ in passed:
        window = [name for at, name in passed if start <= at < start + 60]
        assert sum(WEIGHTS[name] for name in window) <= OWN_WEIGHT
        longer = [name for at, name in passed if start <= at < start + 300]
        assert longer.count("fundingInfo") <= FUNDING_CALLS
    prices = [at for at, name in passed if name == "premiumIndex"]
    assert all(later - at >= 10 for at, later in pairwise(prices))


def test_a_premium_index_every_ten_seconds_and_a_catalog_beside_it_pass() -> None:
    wishes = [(float(at), "premiumIndex") for at in range(0, 3600, 10)]
    wishes += [
        (at + 0.5, name) for at in range(0, 3600, 30) for name in WEIGHTS if name != "premiumIndex"
    ]
    assert sent(sorted(wishes)) == sorted(wishes)


def test_a_hold_says_how_long_and_after_that_the_request_passes() -> None:
    budget = RestBudget()
    for _ in range(OWN_WEIGHT):
        budget.spend("time", 5.0)
    hold = budget.hold("time", 20.0)
    assert hold is not None
    assert hold.wait == 45.0
    assert budget.hold("time", 20.0 + hold.wait) is None


@pytest.mark.parametrize(
    ("used", "utc", "held"),
    [(1920, 30.0, 0.0), (1921, 30.0, 30.0), (2400, 119.0, 1.0), (5, 30.0, 0.0)],
)
def test_a_busy_address_waits_for_the_venues_next_minute(
    used: int, utc: float, held: float
) -> None:
    budget = RestBudget()
    budget.used(used, 1000.0, utc)
    hold = budget.hold("time", 1000.0)
    assert (hold.wait if hold else 0.0) == held
    assert budget.hold("fundingInfo", 1000.0 + held) is None


def test_a_refusal_silences_everything_until_its_time() -> None:
    budget = RestBudget()
    budget.refused(120.0, 0.0, "banned", slow=False)
    budget.refused(7.0, 1.0, "too many", slow=False)
    for name in WEIGHTS:
        hold = budget.hold(name, 100.0)
        assert hold is not None
        assert (hold.wait, hold.reason) == (20.0, "banned")
        assert budget.hold(name, 120.0) is None


def test_a_refusal_by_policy_is_tried_ever_more_seldom_until_it_is_over() -> None:
    budget, now, waits = RestBudget(), 0.0, []
    for _ in range(6):
        budget.refused(0.0, now, "HTTP 451", slow=True)
        hold = budget.hold("time", now)
        assert hold is not None
        waits.append(hold.wait)
        now += hold.wait
    assert waits == [60, 120, 240, 240, 240, 240]
    budget.answered()
    budget.refused(0.0, now, "HTTP 451", slow=True)
    hold = budget.hold("time", now)
    assert hold is not None
    assert hold.wait == 60
