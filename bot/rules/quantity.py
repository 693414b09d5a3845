"""Quantities as people write them: `0.05%`, `5bp`, `1h30m`, `85k`; read and printed exactly."""

from dataclasses import dataclass
from fractions import Fraction

from bot.market.number import Value
from bot.market.reading import Kind

TIME_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}  # ms
RATIO_UNITS = {"%": Fraction(1, 100), "bp": Fraction(1, 10_000), "bps": Fraction(1, 10_000)}
PRICE_UNITS = {"k": Fraction(1_000)}
LARGEST_BARE_RATIO = Fraction(5, 100)
_MAX_NUMBER = 60  # characters; a longer one names no quantity
_MAX_EXPONENT = 30


class QuantityError(ValueError):
    """The quantity cannot be meant like this; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number and its unit as written; unit "" where there is none."""

    number: str
    unit: str


def read_quantity(kind: Kind, negative: bool, measures: list[Measure]) -> Fraction:
    """The value of a quantity of a kind: a fraction, a price, or ms.

    Raises:
        QuantityError: a unit that the kind does not take, a bare time, an ambiguous bare ratio.
    """
    value = _READERS[kind](measures)
    return -value if negative else value


def read_duration(measures: list[Measure]) -> int:
    """A duration in ms.

    Raises:
        QuantityError: a missing or foreign unit, or a part of a millisecond.
    """
    value = _read_time(measures)
    if value.denominator != 1:
        raise QuantityError("a duration shorter than a millisecond; write 1s or more")
    return int(value)


def _read_time(measures: list[Measure]) -> Fraction:
    total = Fraction(0)
    for measure in measures:
        unit = measure.unit.lower()
        if not unit:
            raise QuantityError(
                f"a time needs a unit: write {measure.number}s, {measure.number}m, "
                f"{measure.number}h or {measure.number}d"
            )
        if unit not in TIME_UNITS:
            raise QuantityError(
                f"unknown unit {measure.unit!r} for a time; use s, m, h or d, as in 1h30m"
            )
        total += number(measure.number) * TIME_UNITS[unit]
    return total


def _read_ratio(measures: list[Measure]) -> Fraction:
    measure = _only(measures)
    unit = measure.unit.lower()
    value = number(measure.number)
    if not unit:
        if value > LARGEST_BARE_RATIO:
            percent = decimal_text(value * 100)
            raise QuantityError(
                f"{measure.number} = {percent} %; write {measure.number}% or {percent}%"
            )
        return value
    if unit not in RATIO_UNITS:
        raise QuantityError(
            f"unknown unit {measure.unit!r} for a ratio; use %, bp or a bare fraction, as in 0.05%"
        )
    return value * RATIO_UNITS[unit]


def _read_price(measures: list[Measure]) -> Fraction:
    measure = _only(measures)
    unit = measure.unit.lower()
    if unit and unit not in PRICE_UNITS:
        raise QuantityError(
            f"unknown unit {measure.unit!r} for a price; use a plain number or k, as in 85k"
        )
    return number(measure.number) * PRICE_UNITS.get(unit, 1)


_READERS = {Kind.TIME: _read_time, Kind.RATIO: _read_ratio, Kind.PRICE: _read_price}


def _only(measures: list[Measure]) -> Measure:
    if len(measures) != 1:
        raise QuantityError("only a time is written in several parts, as in 1h30m")
    return measures[0]


def number(text: str) -> Fraction:
    """The exact value of a number without a sign.

    Raises:
        QuantityError: it is too long or too large to name anything.
    """
    _, _, exponent = text.lower().partition("e")
    if len(text) > _MAX_NUMBER or (exponent and abs(int(exponent)) > _MAX_EXPONENT):
        raise QuantityError("this number is too long or too large")
    return Fraction(text)


def quantity_text(kind: Kind, value: Fraction) -> str:
    """The canonical text of a quantity; it reads back to the same value."""
    if kind is Kind.RATIO:
        return f"{decimal_text(value * 100)}%"
    return decimal_text(value) if kind is Kind.PRICE else duration_text(value)


def duration_text(milliseconds: Fraction | int) -> str:
    """`1h30m`, `45s`, `-10m`: the parts that are not zero, largest first."""
    rest = Fraction(abs(milliseconds))
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        count, rest = divmod(rest, Fraction(size))
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{decimal_text(rest / 1000)}s")
    return ("-" if milliseconds < 0 else "") + "".join(parts)


def decimal_text(value: Fraction) -> str:
    """A fraction with a finite decimal form, written out: no exponent, no trailing zeros."""
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), Fraction(1))
    digits = []
    while rest:
        digit, rest = divmod(rest * 10, Fraction(1))
        digits.append(str(digit))
    return f"{sign}{whole}" + ("." + "".join(digits) if digits else "")


def threshold(value: Fraction) -> Value:
    """A quantity as a value to compare with."""
    return Value.of(value)
