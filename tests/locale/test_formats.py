import pytest

from bot.locale import formats

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.000612, "+0.0612 %"),
        (-0.000612, "-0.0612 %"),
        (0.0001, "+0.0100 %"),
        (0.0, "0.0000 %"),
        (-0.0, "0.0000 %"),
        (0.0000012, "+0.00012 %"),
        (-0.000000031, "-0.0000031 %"),
        (1.5, "+150.0000 %"),
    ],
)
def test_a_rate_is_signed_with_four_decimals_or_what_tells_it_from_zero(
    fraction: float, text: str
) -> None:
    assert formats.percent(fraction) == text


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.67, "67.0 %"), (-0.1095, "-10.9 %"), (0.0, "0.0 %")]
)
def test_a_yearly_rate_has_one_decimal(fraction: float, text: str) -> None:
    assert formats.annual(fraction) == text


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("28156.41410000", "28,156.4141"),
        ("28156.10000000", "28,156.10"),
        ("28156.00000000", "28,156"),
        ("1234567", "1,234,567"),
        ("0.00001234", "0.00001234"),
        ("1.5e-5", "0.000015"),
        ("0.10000000", "0.1"),
        ("-1234.5", "-1,234.50"),
        ("", ""),
        ("abc", ""),
        ("NaN", ""),
        ("Infinity", ""),
        (85000.0, "85,000"),
    ],
)
def test_a_price_keeps_every_digit_but_trailing_zeros(sent: str | float, text: str) -> None:
    assert formats.price(sent) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (2 * HOUR + 17 * 60_000 + 59_999, "2h 17m"),
        (45_000, "45s"),
        (3 * 24 * HOUR + 4 * HOUR + 1, "3d 4h"),
        (2 * HOUR, "2h"),
        (24 * HOUR + 60_000, "1d"),
        (14 * 60_000 + 59_000, "14m 59s"),
        (999, "0s"),
        (0, "0s"),
    ],
)
def test_a_duration_is_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert formats.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "16:00 UTC"),
        ("Asia/Shanghai", "00:00 CST"),
        ("America/New_York", "11:00 EST"),
        ("Nowhere/Land", "16:00 UTC"),
        ("../../etc/passwd", "16:00 UTC"),
    ],
)
def test_a_clock_time_names_its_zone(zone: str, text: str) -> None:
    moment = 1_795_363_200_000  # 2026-11-22 16:00 UTC
    assert formats.clock(moment, zone) == text


def test_a_moment_has_its_date() -> None:
    assert formats.moment(1_795_363_200_000, "UTC") == "2026-11-22 16:00 UTC"


@pytest.mark.parametrize(("interval", "text"), [(8 * HOUR, "8 h"), (HOUR, "1 h")])
def test_an_interval_is_in_hours(interval: int, text: str) -> None:
    assert formats.hours(interval) == text


@pytest.mark.parametrize(
    ("left", "text"),
    [(2 * HOUR, "2h 0m"), (2 * HOUR + 60_000, "2h 1m"), (45_000, "45s"), (-5, "0s")],
)
def test_a_countdown_shows_minutes_beside_hours(left: int, text: str) -> None:
    assert formats.countdown(left) == text
