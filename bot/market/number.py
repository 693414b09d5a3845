"""Numbers as the venue sends them: text first, a float for speed, a fraction when it matters."""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

# What counts as a number in p, i, P and r; anything else is missing (never zero).
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
# Longer texts and larger exponents name no price or rate; they would only cost time to be exact.
_MAX_LENGTH = 100
_MAX_EXPONENT = 300
# Beyond these a number is no price or rate either, and quotients of two would leave the floats.
_SMALLEST, _LARGEST = 1e-100, 1e100


class Value:
    """A known value of a field: `approx` at once, `exact` as a fraction on demand.

    `approx` is within a few units in the last place of `exact`. The exact value is computed by
    `make(*arguments)` the first time it is asked for.
    """

    __slots__ = ("_arguments", "_exact", "_make", "approx")

    def __init__(self, approx: float, make: Callable[..., Fraction], *arguments: object) -> None:
        self.approx = approx
        self._make = make
        self._arguments = arguments
        self._exact: Fraction | None = None

    @property
    def exact(self) -> Fraction:
        if self._exact is None:
            self._exact = self._make(*self._arguments)
        return self._exact

    @classmethod
    def of(cls, exact: Fraction) -> "Value":
        """The value that is exactly this fraction."""
        return cls(float(exact), Fraction, exact)

    def __repr__(self) -> str:
        return f"Value({self.approx!r})"


@lru_cache(maxsize=16_384)
def parse_number(text: str) -> Value | None:
    r"""The number that a text of the venue states; None where it states none.

    A number is what matches ``-?\d+(\.\d+)?([eE][+-]?\d+)?`` entirely.
    """
    if len(text) > _MAX_LENGTH or _NUMBER.fullmatch(text) is None:
        return None
    _, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > _MAX_EXPONENT:
        return None
    approx = float(text)
    if approx != 0 and not _SMALLEST < abs(approx) < _LARGEST:
        return None
    return Value(approx, Fraction, text)


def decimal_text(value: Fraction) -> str:
    """A fraction with a finite decimal form, written out: no exponent, no trailing zeros."""
    sign = "-" if value < 0 else ""
    places = 0
    while abs(value.numerator) * 10**places % value.denominator:
        places += 1
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def compare(value: Value, threshold: Value) -> int:
    """-1, 0 or 1 as the value is below, at or above the threshold: decided exactly.

    The floats decide where they are clearly apart (1e-9 relative, and 1e-12 for the cancellation
    in ``p / i - 1``); closer than that, the fractions do.
    """
    left, right = value.approx, threshold.approx
    gap = left - right
    if abs(gap) > 1e-9 * max(abs(left), abs(right)) + 1e-12:
        return 1 if gap > 0 else -1
    difference = value.exact - threshold.exact
    return (difference > 0) - (difference < 0)
