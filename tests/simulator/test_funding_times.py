import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simulator.funding_times import HOUR, FundingTimes, next_funding

SETTLEMENT = 1_795_363_200_000
hours = st.sampled_from([1, 2, 4, 8])
moments = st.integers(SETTLEMENT - 10**8, SETTLEMENT + 10**8)


def times(*added: int) -> FundingTimes:
    made = FundingTimes()
    for at in added:
        made.add(at)
    return made


@pytest.mark.parametrize(
    ("at", "interval", "added", "expected"),
    [
        (SETTLEMENT - 5000, 8, (), SETTLEMENT),
        (SETTLEMENT - 5000, 8, (SETTLEMENT - 4000,), SETTLEMENT - 4000),
        (SETTLEMENT - 4000, 8, (SETTLEMENT - 4000,), SETTLEMENT - 4000),
        (SETTLEMENT - 3999, 8, (SETTLEMENT - 4000,), SETTLEMENT),
        (SETTLEMENT - 5000, 1, (SETTLEMENT + HOUR,), SETTLEMENT),
        (SETTLEMENT + 1, 1, (SETTLEMENT + 10, SETTLEMENT + 5), SETTLEMENT + 5),
        (SETTLEMENT, 0, (SETTLEMENT + 5,), 0),
    ],
)
def test_the_next_settlement_is_the_nearest(
    at: int, interval: int, added: tuple[int, ...], expected: int
) -> None:
    assert times(*added).next(at, interval) == expected


@given(moments, hours, st.lists(moments, max_size=3))
def test_the_last_settlement_lies_before_and_nothing_lies_between_it_and_the_next(
    at: int, interval: int, added: list[int]
) -> None:
    made = times(*added)
    last, following = made.last(at, interval), made.next(at, interval)
    assert last < at <= following
    assert made.between(last, following, interval) == [last, following]


@given(moments, hours)
def test_without_additions_the_grid_alone_counts(at: int, interval: int) -> None:
    assert times().next(at, interval) == next_funding(at, interval)
    assert times().last(at, interval) == next_funding(at, interval) - interval * HOUR


def test_what_has_come_cannot_be_taken_back() -> None:
    made = times(SETTLEMENT + 1000, SETTLEMENT + 2000)
    made.take_back(SETTLEMENT + 1500)
    assert made.between(SETTLEMENT, SETTLEMENT + 5000, 8) == [SETTLEMENT, SETTLEMENT + 1000]


def test_a_contract_that_pays_nothing_never_settles() -> None:
    assert times(SETTLEMENT + 1).between(SETTLEMENT, SETTLEMENT + HOUR, 0) == []
