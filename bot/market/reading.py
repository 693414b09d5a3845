"""What is known of one symbol at one moment: every field of the rule language, or unknown.

Sources of the formulas: the venue's funding pages (r is a fraction per interval; the estimated
settle price only means something in the last hour before T).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from bot.market import history
from bot.market.catalog import Funding
from bot.market.history import FINE_WINDOW, Series
from bot.market.number import Value, parse_number
from bot.market.tick import Tick

HOUR = 3_600_000  # ms
DEFAULT_INTERVAL = 8 * HOUR
SeriesKey = tuple[str, bool]  # field, coarse


class Kind(StrEnum):
    """The unit family of a field, which decides the quantities it may be compared with."""

    RATIO = "ratio"  # a fraction; 0.01 is 1 %
    PRICE = "price"  # in the quote asset
    TIME = "time"  # ms


class Reading:
    """The fields of one symbol at `now` (ms), computed when first asked for.

    A stale reading knows nothing but `funding`, and that only until T.
    """

    __slots__ = (
        "_cache", "by_tick", "clock", "funding_info", "interval", "now", "series", "stale",
        "tick",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - what a symbol's state holds at that moment, by name
        self,
        tick: Tick,
        now: int,
        *,
        by_tick: bool = True,
        stale: bool = False,
        clock: int = 0,
        interval: int = DEFAULT_INTERVAL,
        funding_info: Funding | None = None,
        series: Mapping[SeriesKey, Series] | None = None,
    ) -> None:
        self.tick = tick
        self.now = now
        self.by_tick = by_tick  # False: only the clock moved
        self.stale = stale
        self.clock = clock or now  # a stale tick's `now` is behind it
        self.interval = interval  # ms
        self.funding_info = funding_info
        self.series: Mapping[SeriesKey, Series] = series or {}
        self._cache: dict[str | tuple[str, str, int], Value | None] = {}

    def value(self, field: str) -> Value | None:
        """The present value of a field of `FIELDS`; None where it is unknown."""
        if field not in self._cache:
            known = not self.stale or field == "funding"
            self._cache[field] = FIELDS[field].read(self) if known else None
        return self._cache[field]

    def window(self, function: str, field: str, span: int) -> Value | None:
        """`change`, `min`, `max` or `avg` of a field over the last `span` ms."""
        key = (function, field, span)
        if key not in self._cache:
            self._cache[key] = self._window(function, field, span)
        return self._cache[key]

    def _window(self, function: str, field: str, span: int) -> Value | None:
        present = self.value(field)
        series = self.series.get((field, span > FINE_WINDOW))
        if present is None or series is None:
            return None
        base = series.at_or_before(self.now - span)
        if base is None:
            return None
        if function == "change":
            return history.change(present, base, relative=FIELDS[field].kind is Kind.PRICE)
        values = series.between(self.now - span, self.now)
        return _AGGREGATES[function](values) if values else None


_AGGREGATES: Mapping[str, Callable[[list[Value]], Value]] = {
    "min": history.minimum,
    "max": history.maximum,
    "avg": history.average,
}


def _rate(reading: Reading) -> Value | None:
    return parse_number(reading.tick.rate) if reading.tick.next_funding_time else None


def _scaled(reading: Reading, factor: int) -> Value | None:
    """Rate x factor / interval, the factor in ms."""
    rate = _rate(reading)
    if rate is None:
        return None
    return Value(rate.approx * factor / reading.interval, _scale, rate, factor, reading.interval)


def _scale(rate: Value, factor: int, interval: int) -> Fraction:
    return rate.exact * factor / interval


def _rate8h(reading: Reading) -> Value | None:
    return _scaled(reading, 8 * HOUR)


def _apr(reading: Reading) -> Value | None:
    return _scaled(reading, 24 * 365 * HOUR)


def _price(text: str) -> Value | None:
    value = parse_number(text)
    return value if value is not None and value.approx > 0 else None


def _mark(reading: Reading) -> Value | None:
    return _price(reading.tick.mark)


def _index(reading: Reading) -> Value | None:
    return _price(reading.tick.index)


def _basis(reading: Reading) -> Value | None:
    mark, index = _mark(reading), _index(reading)
    if mark is None or index is None:
        return None
    return history.change(mark, index, relative=True)


def _settle(reading: Reading) -> Value | None:
    until = reading.tick.next_funding_time
    if not until or not until - HOUR <= reading.now <= until:
        return None
    return _price(reading.tick.settle)


def _funding(reading: Reading) -> Value | None:
    until = reading.tick.next_funding_time
    if not until or (reading.stale and reading.clock > until):
        return None
    left = max(until - reading.now, 0)
    return Value(float(left), Fraction, left)


def _interval(reading: Reading) -> Value | None:
    if not reading.tick.next_funding_time:
        return None
    return Value(float(reading.interval), Fraction, reading.interval)


def _cap(reading: Reading) -> Value | None:
    rate, info = _rate(reading), reading.funding_info
    if rate is None or info is None:
        return None
    limit = info.cap if rate.exact >= 0 else info.floor
    if limit is None or limit.exact == 0:
        return None
    return Value(rate.approx / limit.approx, _share, rate, limit)


def _share(rate: Value, limit: Value) -> Fraction:
    return rate.exact / limit.exact


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the rule language: its unit family and how it is read."""

    kind: Kind
    read: Callable[[Reading], Value | None]


FIELDS: Mapping[str, Field] = {
    "rate": Field(Kind.RATIO, _rate),
    "rate8h": Field(Kind.RATIO, _rate8h),
    "apr": Field(Kind.RATIO, _apr),
    "basis": Field(Kind.RATIO, _basis),
    "mark": Field(Kind.PRICE, _mark),
    "index": Field(Kind.PRICE, _index),
    "settle": Field(Kind.PRICE, _settle),
    "funding": Field(Kind.TIME, _funding),
    "interval": Field(Kind.TIME, _interval),
    "cap": Field(Kind.RATIO, _cap),
}
