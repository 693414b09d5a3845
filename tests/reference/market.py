"""What design sections 2 and 3 say of rows, symbols and fields, for the reference implementation.

Every number is a Fraction of the text that was sent; every tick ever accepted is kept.
"""

import fnmatch
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.reference.language import FIELDS, HOUR, MINUTE, PRICES, Value

NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
STALE = 30_000  # ms


class Literal(str):
    """A JSON number as it was written."""

    __slots__ = ()


def number(sent: object) -> Fraction | None:
    """A p, i, P or r that is no number is missing; strings must match entirely."""
    return Fraction(sent) if isinstance(sent, str) and NUMBER.fullmatch(sent) else None


def whole(sent: object) -> int:
    """A JSON integer above 0, else 0."""
    if isinstance(sent, Literal) and re.fullmatch(r"-?\d+", sent):
        return max(int(sent), 0)
    return 0


def refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


@dataclass(frozen=True)
class Row:
    symbol: str
    event_time: int
    mark: Fraction | None
    index: Fraction | None
    settle: Fraction | None
    rate: Fraction | None
    settlement: int  # T, 0 where missing


def rows(line: bytes) -> Iterator[Row]:
    """The mark-price rows of one capture line; everything else is passed over."""
    try:
        # Optionally `<local receive time in µs> ` before the JSON.
        text = re.sub(r"^\d+ ", "", line.decode().strip())
        frame = json.loads(text, parse_int=Literal, parse_float=Literal, parse_constant=refuse)
    except (ValueError, RecursionError):
        return  # a broken line is reported with its number and skipped
    if isinstance(frame, dict) and "stream" in frame and "data" in frame:
        frame = frame["data"]
    for sent in frame if isinstance(frame, list) else [frame]:  # rows are judged singly
        if not isinstance(sent, dict) or sent.get("e") != "markPriceUpdate":
            continue
        name, event_time = sent.get("s"), whole(sent.get("E"))
        if not event_time or isinstance(name, Literal) or not isinstance(name, str) or not name:
            continue  # one without an integer E > 0 or a name is dropped
        if isinstance(sent.get("st"), Literal) and sent["st"] == "2":
            continue  # COIN-M rows (st = 2) are dropped
        p, i, settle, r = (number(sent.get(key)) for key in "piPr")
        yield Row(name, event_time, p, i, settle, r, whole(sent.get("T")))


@dataclass
class Catalog:
    """`fundingInfo` gives intervals and caps, `exchangeInfo` classes; either may be missing."""

    funding: dict[str, dict[str, Any]] = field(default_factory=dict)
    exchange: dict[str, dict[str, Any]] | None = None

    @classmethod
    def of(cls, saved: dict[str, Any] | None) -> "Catalog":
        saved = saved or {}
        exchange = saved.get("exchangeInfo")
        return cls(
            {row["symbol"]: row for row in saved.get("fundingInfo", [])},
            None if exchange is None else {row["symbol"]: row for row in exchange["symbols"]},
        )

    def number(self, symbol: str, key: str) -> Fraction | None:
        sent = self.funding.get(symbol, {}).get(key)
        return None if sent is None else number(str(sent))

    def selects(self, symbols: list[str], groups: dict[str, list[str]], row: Row) -> bool:
        """Whether a rule's `symbols` take the symbol whose last accepted row is given."""
        flat = [one for selector in symbols for one in inlined(selector, groups)]
        excluded = any(self.matches(one[1:], groups, row) for one in flat if one[0] == "!")
        # `!` wins wherever it stands.
        return not excluded and any(self.matches(one, groups, row) for one in flat if one[0] != "!")

    def matches(self, selector: str, groups: dict[str, list[str]], row: Row) -> bool:
        if selector[0] == "@":  # only behind a `!`: what the group selects
            return self.selects(groups[selector[1:]], groups, row)
        entry = None if self.exchange is None else self.exchange.get(row.symbol, {})
        if entry is not None and entry.get("status") != "TRADING":
            return False  # with an exchangeInfo, what does not trade is not selected
        if selector in ("ALL", "perp", "tradfi"):
            if entry is None:  # without one `ALL` and `perp` follow the symbol's last row (T > 0)
                return selector != "tradfi" and row.settlement > 0
            kind = {"PERPETUAL": "perp", "TRADIFI_PERPETUAL": "tradfi"}.get(entry["contractType"])
            return kind is not None and selector in ("ALL", kind)
        if selector == "quarterly":
            return re.search(r"_[0-9]{6}$", row.symbol) is not None
        if "*" in selector or "?" in selector:
            return fnmatch.fnmatchcase(row.symbol, selector)
        return row.symbol in (selector, selector + "USDT")  # `BTC` alone means BTCUSDT


def inlined(selector: str, groups: dict[str, list[str]]) -> list[str]:
    if selector[0] != "@":
        return [selector]
    return [one for held in groups[selector[1:]] for one in inlined(held, groups)]


class Symbol:
    """One symbol's last row, learned interval and every tick at which a field was known."""

    def __init__(self, first: int, catalog: Catalog) -> None:
        self.first = first  # E of the first accepted tick
        self.catalog = catalog
        self.row: Row | None = None
        self.learned: Fraction | None = None  # hours
        self.known: dict[str, list[tuple[int, Fraction]]] = {name: [] for name in FIELDS}
        self.minutes: dict[str, list[tuple[int, Fraction]]] = {name: [] for name in FIELDS}

    def accept(self, row: Row, clock: int) -> None:
        """Take a row whose E is above the last one."""
        if self.row is not None:
            # T moved from T1 to T2 on a tick with E >= T1 - 1 s: the interval is T2 - T1; a step
            # over 8 h or not positive teaches nothing.
            before, after = self.row.settlement, row.settlement
            settled = before > 0 and row.event_time >= before - 1000
            if settled and 0 < after - before <= 8 * HOUR:
                self.learned = Fraction(after - before, HOUR)
        self.row = row
        for name in FIELDS:
            value = self.field(name, row.event_time, clock)
            if value is None:
                continue
            known, minutes = self.known[name], self.minutes[name]
            known.append((row.event_time, value))
            if not minutes or minutes[-1][0] // MINUTE < row.event_time // MINUTE:
                minutes.append(known[-1])

    def last(self) -> Row:
        assert self.row is not None
        return self.row

    def stale(self, clock: int) -> bool:
        """A symbol is stale when clock - its last E > 30 s."""
        return clock - self.last().event_time > STALE

    def interval(self) -> Fraction:
        """Hours: from fundingInfo, else from the observed steps of T, else 8."""
        row = self.last()
        told = self.catalog.number(row.symbol, "fundingIntervalHours")
        return told or self.learned or Fraction(8)

    def field(self, name: str, now: int, clock: int) -> Fraction | None:
        """A field at `now` (a tick's E, or the clock of an advance); None is unknown."""
        row = self.last()
        if name == "funding":
            # Unknown when T = 0; of a stale symbol it stays known until T passes; never below 0.
            if row.settlement == 0 or (self.stale(clock) and clock > row.settlement):
                return None
            return Fraction(max(row.settlement - now, 0))
        if self.stale(clock):
            return None  # its values are unknown, except `funding`
        if name == "settle":
            in_range = row.settlement - HOUR <= now <= row.settlement
            return positive(row.settle) if in_range else None
        if name == "basis":
            mark, index = positive(row.mark), positive(row.index)
            return None if mark is None or index is None else mark / index - 1
        if name in PRICES:
            return positive(row.mark if name == "mark" else row.index)
        return self.of_funding(name, row.rate) if row.settlement else None  # unknown when T = 0

    def of_funding(self, name: str, rate: Fraction | None) -> Fraction | None:
        if name == "interval":
            return self.interval() * HOUR  # ms
        if rate is None or name == "rate":
            return rate
        if name == "rate8h":
            return rate * 8 / self.interval()
        if name == "apr":
            return rate * 24 / self.interval() * 365
        # cap: the share of the cap (r >= 0) or of the floor (r < 0); unknown where that is 0.
        side = "adjustedFundingRateCap" if rate >= 0 else "adjustedFundingRateFloor"
        limit = self.catalog.number(self.last().symbol, side)
        return rate / limit if limit else None

    def value(self, value: Value, now: int, clock: int) -> Fraction | None:
        """A value of the language at `now`; windows look back over every kept tick."""
        present = self.field(value.field, now, clock)
        if present is None or value.kind == "field":
            return present
        if value.kind == "abs":
            return abs(present)
        # Above 10 m only the first known tick of each UTC minute is kept.
        long = value.window > 10 * MINUTE
        kept = (self.minutes if long else self.known)[value.field]
        reach = now - value.window
        old = bisect_right(kept, reach, key=event_time)
        if not old:
            return None  # unknown until that much history exists
        if value.kind == "change":  # against the latest tick at or before now - w
            base = kept[old - 1][1]
            return present / base - 1 if value.field in PRICES else present - base
        inside = kept[bisect_left(kept, reach, key=event_time) :]  # now - w <= E
        latest = self.known[value.field][-1]
        if long and latest[0] == self.last().event_time and latest not in inside:
            inside.append(latest)  # plus the present one once
        held = [tick[1] for tick in inside]
        if not held:
            return None
        if value.kind == "avg":
            return sum(held, Fraction(0)) / len(held)  # the plain mean
        return min(held) if value.kind == "min" else max(held)


def positive(price: Fraction | None) -> Fraction | None:
    return price if price is not None and price > 0 else None


def event_time(tick: tuple[int, Fraction]) -> int:
    return tick[0]


def shown(name: str, value: Fraction) -> float:
    """Ratios as fractions, prices as sent, `funding` in seconds, `interval` in hours."""
    scale = {"funding": 1000, "interval": HOUR}.get(name, 1)
    return float(value / scale)
