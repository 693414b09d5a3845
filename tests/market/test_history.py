"""Series keep what a look-back needs; windows are decided exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market import history
from bot.market.history import MINUTE, Series
from bot.market.number import Value


def value(number: int) -> Value:
    return Value.of(Fraction(number))


def numbers(values: list[Value]) -> list[Fraction]:
    return [one.exact for one in values]


def series(times: list[int], *, span: int, coarse: bool) -> Series:
    made = Series(span, coarse=coarse)
    for time in times:
        made.add(time, value(time))
    return made


@pytest.mark.parametrize(
    ("now", "base"), [(999, None), (1000, 1000), (1999, 1000), (2000, 2000), (9999, 3000)]
)
def test_the_base_is_the_latest_at_or_before(now: int, base: int | None) -> None:
    found = series([1000, 2000, 3000], span=60_000, coarse=False).at_or_before(now)
    assert (found and found.exact) == base


@pytest.mark.parametrize(
    ("first", "last", "inside"),
    [
        (1000, 3000, [1000, 2000, 3000]),
        (1001, 2999, [2000]),
        (3001, 9000, []),
        (0, 500, []),
    ],
)
def test_a_window_has_both_its_edges(first: int, last: int, inside: list[int]) -> None:
    found = series([1000, 2000, 3000], span=60_000, coarse=False).between(first, last)
    assert numbers(found) == inside


def test_a_coarse_series_keeps_the_first_of_each_minute_and_adds_the_present_once() -> None:
    made = Series(60 * MINUTE, coarse=True)
    kept = [made.add(time, value(time)) for time in (5, 20_000, 59_999, 60_000, 61_000, 200_000)]
    assert kept == [True, False, False, True, False, True]
    assert [time for time, _ in made.samples()] == [5, 60_000, 200_000]
    assert numbers(made.between(0, 200_000)) == [5, 60_000, 200_000]
    made.add(201_000, value(201_000))
    assert numbers(made.between(0, 201_000)) == [5, 60_000, 200_000, 201_000]
    assert numbers(made.between(0, 200_500)) == [5, 60_000, 200_000]
    assert numbers(made.between(200_500, 201_000)) == [201_000]


@pytest.mark.parametrize("coarse", [False, True])
@given(
    steps=st.lists(st.integers(1, 200_000), min_size=1, max_size=60),
    span=st.integers(MINUTE, 20 * MINUTE),
)
def test_dropping_old_values_never_changes_an_answer(
    coarse: bool, steps: list[int], span: int
) -> None:
    time, whole, pruned = 0, Series(10**12, coarse=coarse), Series(span, coarse=coarse)
    for step in steps:
        time += step
        whole.add(time, value(time))
        pruned.add(time, value(time))
        for back in (MINUTE, span):
            base, other = pruned.at_or_before(time - back), whole.at_or_before(time - back)
            assert (base and base.exact) == (other and other.exact)
            first = time - back
            assert numbers(pruned.between(first, time)) == numbers(whole.between(first, time))


def test_a_long_run_holds_only_its_look_back() -> None:
    made = series(list(range(0, 10_000_000, 1000)), span=MINUTE, coarse=False)
    assert len(made.samples()) == 61
    assert len(made._times) < 5000


@given(st.lists(st.fractions(), min_size=1, max_size=20))
def test_minimum_maximum_and_average_are_exact(values: list[Fraction]) -> None:
    made = [Value.of(one) for one in values]
    for function, expected in [
        (history.minimum, min(values)),
        (history.maximum, max(values)),
        (history.average, sum(values, Fraction(0)) / len(values)),
    ]:
        found = function(made)
        assert found.exact == expected
        assert found.approx == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("now", "base", "relative", "expected"),
    [
        (3, 1, False, Fraction(2)),
        (1, 3, False, Fraction(-2)),
        (3, 2, True, Fraction(1, 2)),
        (2, 3, True, Fraction(-1, 3)),
        (3, 0, True, None),
        (3, 0, False, Fraction(3)),
    ],
)
def test_a_change_is_exact(now: int, base: int, relative: bool, expected: Fraction | None) -> None:
    found = history.change(value(now), value(base), relative=relative)
    assert (found and found.exact) == expected
