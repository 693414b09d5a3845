"""Every field of the rule language: its value, and when it is unknown."""

from fractions import Fraction
from typing import Any

import pytest

from bot.market.catalog import Funding
from bot.market.history import MINUTE, Series
from bot.market.number import Value, parse_number
from bot.market.reading import FIELDS, HOUR, Reading
from tests.market.rows import tick

T = 1_790_179_200_000
NOW = T - 2 * HOUR
PLAIN = {"mark": "101", "index": "100", "settle": "99", "rate": "0.0004", "next_funding_time": T}
INFO = Funding("BTCUSDT", 4, parse_number("0.0200"), parse_number("-0.0100"))


def reading(now: int = NOW, **changes: Any) -> Reading:
    given = {key: changes.pop(key) for key in list(changes) if key in PLAIN}
    one = tick(event_time=now, **{**PLAIN, **given})
    return Reading(one, now, **{"interval": 4 * HOUR, "funding_info": INFO, **changes})


def exact(one: Value | None) -> Fraction | None:
    return None if one is None else one.exact


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("rate", Fraction(4, 10_000)),
        ("rate8h", Fraction(8, 10_000)),
        ("apr", Fraction(4, 10_000) * 6 * 365),
        ("basis", Fraction(1, 100)),
        ("mark", Fraction(101)),
        ("index", Fraction(100)),
        ("settle", None),
        ("funding", Fraction(2 * HOUR)),
        ("interval", Fraction(4 * HOUR)),
        ("cap", Fraction(4, 200)),
    ],
)
def test_a_field_is_its_formula(field: str, expected: Fraction | None) -> None:
    found = reading().value(field)
    assert exact(found) == expected
    if found is not None:
        assert found.approx == pytest.approx(float(found.exact), rel=1e-12)


def test_the_table_above_has_every_field() -> None:
    assert set(FIELDS) == {
        "rate", "rate8h", "apr", "basis", "mark", "index", "settle", "funding", "interval", "cap",
    }  # fmt: skip


NO_FUNDING = {"rate", "rate8h", "apr", "funding", "interval", "cap", "settle"}


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"next_funding_time": 0}, NO_FUNDING),
        ({"next_funding_time": 0, "rate": "0.00000000"}, NO_FUNDING),
        ({"rate": ""}, {"rate", "rate8h", "apr", "cap"}),
        ({"rate": "x"}, {"rate", "rate8h", "apr", "cap"}),
        ({"mark": ""}, {"mark", "basis"}),
        ({"mark": "0.00000000"}, {"mark", "basis"}),
        ({"mark": "-1"}, {"mark", "basis"}),
        ({"index": "0.00000000"}, {"index", "basis"}),
        ({"index": ""}, {"index", "basis"}),
        ({"settle": ""}, {"settle"}),
        ({"settle": "0"}, {"settle"}),
        ({"funding_info": None}, {"cap"}),
        ({"funding_info": Funding("A", 4, None, None)}, {"cap"}),
        ({"funding_info": Funding("A", 4, parse_number("0"), None)}, {"cap"}),
        ({"stale": True}, set(FIELDS) - {"funding"}),
        ({"stale": True, "next_funding_time": 0}, set(FIELDS)),
        ({"stale": True, "now": T}, set(FIELDS) - {"funding"}),
        ({"stale": True, "now": T + 1}, set(FIELDS)),
    ],
)
def test_a_field_is_unknown_where_its_sources_are(
    changes: dict[str, Any], unknown: set[str]
) -> None:
    one = reading(**{"now": T - HOUR, **changes})
    assert {field for field in FIELDS if one.value(field) is None} == unknown


@pytest.mark.parametrize(
    ("now", "known"),
    [(T - HOUR - 1, False), (T - HOUR, True), (T, True), (T + 1, False)],
)
def test_the_settle_price_means_something_in_the_last_hour(now: int, known: bool) -> None:
    assert (reading(now).value("settle") is not None) is known


@pytest.mark.parametrize(("now", "left"), [(T - 5, 5), (T, 0), (T + 12, 0)])
def test_the_countdown_is_never_below_zero(now: int, left: int) -> None:
    assert exact(reading(now).value("funding")) == left


@pytest.mark.parametrize(
    ("rate", "share"),
    [("0.0200", Fraction(1)), ("0.0300", Fraction(3, 2)), ("-0.0050", Fraction(1, 2)),
     ("0", Fraction(0)), ("-0.0200", Fraction(2))],
)  # fmt: skip
def test_the_cap_is_a_share_of_cap_or_floor_and_not_clamped(rate: str, share: Fraction) -> None:
    assert exact(reading(rate=rate).value("cap")) == share


def windowed(field: str, samples: dict[int, str], *, coarse: bool, **changes: Any) -> Reading:
    """A reading at NOW after samples at so many ms before it."""
    made = Series(24 * HOUR, coarse=coarse)
    for before in sorted(samples, reverse=True):
        number = parse_number(samples[before])
        assert number is not None
        made.add(NOW - before, number)
    return reading(**changes, series={(field, coarse): made})


FINE = {120_000: "9", 61_000: "0.0001", 30_000: "0.0007", 0: "0.0004"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("change", Fraction(3, 10_000)),
        ("min", Fraction(4, 10_000)),
        ("max", Fraction(7, 10_000)),
        ("avg", Fraction(11, 20_000)),
    ],
)
def test_a_full_window_is_exact(function: str, expected: Fraction) -> None:
    assert exact(windowed("rate", FINE, coarse=False).window(function, "rate", MINUTE)) == expected


@pytest.mark.parametrize("function", ["change", "min", "max", "avg"])
@pytest.mark.parametrize(
    ("samples", "changes"),
    [
        ({59_999: "0.0001", 0: "0.0004"}, {}),
        ({0: "0.0004"}, {}),
        (FINE, {"rate": ""}),
        (FINE, {"next_funding_time": 0}),
        (FINE, {"stale": True}),
    ],
)
def test_a_window_is_unknown_until_it_is_full_and_while_its_field_is(
    function: str, samples: dict[int, str], changes: dict[str, Any]
) -> None:
    one = windowed("rate", samples, coarse=False, **changes)
    assert one.window(function, "rate", MINUTE) is None


def test_a_window_without_a_series_is_unknown() -> None:
    assert reading().window("avg", "rate", MINUTE) is None


def test_the_tick_that_fills_a_window_may_be_however_old() -> None:
    one = windowed("rate", {23 * HOUR: "0.0001", 0: "0.0004"}, coarse=False)
    assert exact(one.window("change", "rate", MINUTE)) == Fraction(3, 10_000)
    assert exact(one.window("avg", "rate", MINUTE)) == Fraction(4, 10_000)


def test_the_change_of_a_price_is_relative() -> None:
    one = windowed("mark", {MINUTE: "100", 0: "101"}, coarse=False)
    assert exact(one.window("change", "mark", MINUTE)) == Fraction(1, 100)


def test_a_long_window_sees_the_first_tick_of_each_minute_and_the_present_one_once() -> None:
    minutes = {15 * MINUTE: "1", 14 * MINUTE: "2", 14 * MINUTE - 1000: "100", MINUTE: "3"}
    present = {30_000: "100", 0: "6"}  # NOW is on a full minute
    one = windowed("mark", {**minutes, **present}, coarse=True, mark="6")
    assert NOW % MINUTE == 0
    assert exact(one.window("avg", "mark", 15 * MINUTE)) == Fraction(1 + 2 + 3 + 6, 4)
    assert exact(one.window("max", "mark", 15 * MINUTE)) == 6
    assert exact(one.window("change", "mark", 15 * MINUTE)) == 5
    assert one.window("change", "mark", 15 * MINUTE + 1) is None


def test_a_time_field_has_windows_too() -> None:
    one = windowed("interval", {MINUTE: str(8 * HOUR), 0: str(4 * HOUR)}, coarse=False)
    assert exact(one.window("change", "interval", MINUTE)) == -4 * HOUR
