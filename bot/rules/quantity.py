"""Quantities as people write them: `0.05%`, `5bp`, `1h30m`, `85k`; read and printed exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from bot.market.number import Value, decimal_text
from bot.market.reading import Kind
from bot.rules.nearest import quoted

TIME_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}  # ms
RATIO_UNITS = {"%": Fraction(1, 100), "bp": Fraction(1, 10_000), "bps": Fraction(1, 10_000)}
PRICE_UNITS = {"k": Fraction(1_000)}
LARGEST_BARE_RATIO = Fraction(5, 100)
LONGEST_DURATION = 3_650 * TIME_UNITS["d"]  # ms; a longer one names no moment that matters
# No quantity needs more; canonical texts stay within what is read again.
_MAX_NUMBER = 100  # characters
_MAX_EXPONENT = 99
_MAX_DIGITS = 30  # of the value, on either side of the point
_TOO_LONG = "this number is too long or too large"


class QuantityError(ValueError):
    """The quantity cannot be meant like this; the message says what is expected.

    `place` is that of the part that is wrong, None where it is the whole quantity.
    """

    def __init__(self, message: str, place: int | None = None) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, slots=True)
class Measure:
    """A number and its unit as written; unit "" where there is none."""

    number: str
    unit: str
    place: int | None = None  # of the unit, in whatever text it was read from


class Threshold(Value):
    """A quantity as a value to compare with; equal to another one of the same exact value."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Threshold) and self.exact == other.exact

    def __hash__(self) -> int:
        return hash(self.exact)


def read_quantity(kind: Kind, negative: bool, measures: list[Measure]) -> Fraction:
    """The value of a quantity of a kind: a fraction, a price, or ms.

    Raises:
        QuantityError: a unit that the kind does not take, a bare time, an ambiguous bare ratio.
    """
    value = _READERS[kind](measures)
    if value >= 10**_MAX_DIGITS or (value * 10**_MAX_DIGITS).denominator != 1:
        raise QuantityError(_TOO_LONG)
    return -value if negative else value


def read_duration(measures: list[Measure]) -> int:
    """A duration in ms.

    Raises:
        QuantityError: a missing or foreign unit, or a part of a millisecond.
    """
    value = _read_time(measures)
    if value.denominator != 1:
        raise QuantityError("a duration in parts of a millisecond; write whole seconds")
    if value > LONGEST_DURATION:
        raise QuantityError("a duration longer than 3650d")
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
                f"unknown unit {quoted(measure.unit)} for a time; use s, m, h or d, as in 1h30m",
                measure.place,
            )
        total += number(measure.number) * TIME_UNITS[unit]
    return total


def _read_ratio(measures: list[Measure]) -> Fraction:
    measure = _only(measures, RATIO_UNITS, "a ratio; use %, bp or a bare fraction, as in 0.05%")
    value = number(measure.number)
    if measure.unit:
        return value * RATIO_UNITS[measure.unit.lower()]
    if value > LARGEST_BARE_RATIO:
        percent = decimal_text(value * 100)
        raise QuantityError(
            f"{measure.number} = {percent} %; write {measure.number}% or {percent}%"
        )
    return value


def _read_price(measures: list[Measure]) -> Fraction:
    measure = _only(measures, PRICE_UNITS, "a price; use a plain number or k, as in 85k")
    return number(measure.number) * PRICE_UNITS.get(measure.unit.lower(), 1)


_READERS = {Kind.TIME: _read_time, Kind.RATIO: _read_ratio, Kind.PRICE: _read_price}


def _only(measures: list[Measure], units: Mapping[str, Fraction], meant: str) -> Measure:
    measure = measures[0]
    if measure.unit and measure.unit.lower() not in units:
        raise QuantityError(f"unknown unit {quoted(measure.unit)} for {meant}", measure.place)
    if len(measures) > 1:
        raise QuantityError(
            "only a time is written in several parts, as in 1h30m; write a number without blanks"
        )
    return measure


def number(text: str) -> Fraction:
    """The exact value of a number without a sign.

    Raises:
        QuantityError: it is too long or too large to name anything.
    """
    _, _, exponent = text[:_MAX_NUMBER].lower().partition("e")
    if len(text) > _MAX_NUMBER or (exponent and abs(int(exponent)) > _MAX_EXPONENT):
        raise QuantityError(_TOO_LONG)
    return Fraction(text)


def quantity_text(kind: Kind, value: Fraction) -> str:
    """The canonical text of a quantity; it reads back to the same value."""
    if kind is Kind.RATIO:
        return f"{decimal_text(value * 100)}%"
    return decimal_text(value) if kind is Kind.PRICE else duration_text(value)


def duration_text(milliseconds: Fraction | int) -> str:
    """`1h30m`, `45s`, `-10m`: the parts that are not zero, largest first."""
    rest = abs(Fraction(milliseconds))
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        count, rest = divmod(rest, Fraction(size))
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{decimal_text(rest / 1000)}s")
    return ("-" if milliseconds < 0 else "") + "".join(parts)


def threshold(value: Fraction) -> Threshold:
    """A quantity as a value to compare with."""
    return Threshold(float(value), Fraction, value)
