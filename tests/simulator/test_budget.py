import pytest

from bot.simulator.budget import FUNDING_LIMIT, PREMIUM_INDEX, WEIGHT_LIMIT, Budget, RefusedError

NOW = 1_795_363_201_873
FUNDING = "/fapi/v1/fundingInfo"


def test_the_most_of_any_minute_is_kept_when_the_minute_is_over() -> None:
    budget = Budget()
    for _ in range(3):
        budget.charge(PREMIUM_INDEX, {}, NOW)
    budget.charge(PREMIUM_INDEX, {"symbol": "BTCUSDT"}, NOW + 60_000)
    assert (budget.weight, budget.most_weight) == (1, 30)


def test_what_was_refused_counts_as_used() -> None:
    budget = Budget(weight=WEIGHT_LIMIT, _minute=NOW // 60_000)
    with pytest.raises(RefusedError):
        budget.charge(PREMIUM_INDEX, {}, NOW)
    assert budget.most_weight == WEIGHT_LIMIT + 10


def test_funding_requests_are_refused_until_the_oldest_is_five_minutes_old() -> None:
    budget = Budget()
    for n in range(FUNDING_LIMIT):
        budget.charge(FUNDING, {}, NOW + n * 100)
    now = NOW + 100_000
    with pytest.raises(RefusedError) as refused:
        budget.charge(FUNDING, {}, now)
    assert budget.most_funding == FUNDING_LIMIT + 1
    wait = int(refused.value.headers["Retry-After"]) * 1000
    assert wait == pytest.approx(200_100, abs=1000)
    budget.charge(FUNDING, {}, now + wait)
