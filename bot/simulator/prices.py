"""The price model: every row is a function of the seed, the symbol and the time.

Nothing is carried from one row to the next, so that the stream and REST agree whoever asks first.
The walks are read from closed tables (they repeat after 8192 s). A quiet symbol's |rate| stays
below 0.05 % per 8 h and its |basis| below 0.25 %; only the crossers and pinned rows leave that.
"""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from random import Random
from typing import NamedTuple

from bot.simulator.funding_times import FundingTimes
from bot.simulator.universe import Crosser, Listing, Universe

LENGTH = 8192  # steps of one second; a power of two
MASK = LENGTH - 1
INTEREST = 0.0001  # per 8 h; the venue's resting rate. TradFi contracts have none
WOBBLE = 0.0001  # of the premium
STANDSTILL = 1000  # ms before and after a settlement in which the rate does not move
CLAMP = 0.0005  # F = premium + clamp(interest - premium, -0.05 %, 0.05 %), the venue's formula


class Row(NamedTuple):
    """One mark price update in the venue's texts."""

    symbol: str
    event_time: int  # ms
    mark_price: str
    settle_price: str
    index_price: str
    rate: str
    next_funding_time: int  # ms; 0 pays no funding
    margin: int  # 1 USDS-M, 2 COIN-M

    def json(self) -> str:
        """The row as the venue writes it since 2026-06-30; `ap` equals `p` on every row seen."""
        symbol, time, mark, settle, index, rate, funding, margin = self
        return (
            f'{{"e":"markPriceUpdate","E":{time},"s":"{symbol}","p":"{mark}","ap":"{mark}",'
            f'"P":"{settle}","i":"{index}","r":"{rate}","T":{funding},"st":{margin}}}'
        )


@dataclass(frozen=True, slots=True)
class Pin:
    """What a test holds fast of one symbol's rows, as the exact texts to send; None is free."""

    mark: str | None = None
    index: str | None = None
    settle: str | None = None
    rate: str | None = None
    next_funding_time: int | None = None


class _Walk(NamedTuple):
    """Where a symbol reads the tables, how strongly it moves, and what its contract says."""

    price: float
    volatility: float
    basis: float
    swing: float  # of the basis
    premium: float
    offset: int
    hours: int  # 0 pays no funding
    interest: float
    cap: float
    margin: int
    crosser: Crosser | None


class Market:
    """The rows of a universe. `started` (ms) is when the crossers' script begins.

    `jitter` is how many ms at most a row's E lies past its moment, as on the venue.
    """

    def __init__(self, universe: Universe, seed: int, started: int, jitter: int = 12) -> None:
        self.seed = seed
        self.started = started
        self.jitter = jitter
        self.times = FundingTimes()
        self.disagreeing: frozenset[str] = frozenset()
        self._pins: dict[str, Pin] = {}
        self._walks: dict[str, _Walk] = {}
        self._prices, self._reverting, self._slow = _tables(seed)
        self.relist(universe)

    def relist(self, universe: Universe) -> None:
        """Takes another state of the same contracts; the walks go on, of unlisted ones too."""
        crossers = {each.symbol: each for each in universe.crossers}
        self.universe = universe
        self._walks |= {
            symbol: _walk(each, self.seed, crossers.get(symbol))
            for symbol, each in universe.listings.items()
        }

    def row(self, symbol: str, at: int, *, skew: int = 0) -> Row:
        """A symbol's row of a moment (ms); `skew` falsifies its E."""
        walk = self._walks[symbol]
        step = at // 1000 + walk.offset
        index = walk.price * (1 + walk.volatility * self._prices[step & MASK])
        settle = walk.price * (1 + walk.volatility * self._prices[(step - 60) & MASK])
        basis = walk.basis + walk.swing * self._reverting[step & MASK]
        funding_time = self.times.next(at, walk.hours)
        rate = self._rate(walk, self._decided(at, walk.hours, funding_time)) if walk.hours else 0.0
        if walk.crosser is not None and walk.crosser.field == "basis":
            basis += walk.crosser.lift((at - self.started) / 1000)
        row = Row(
            symbol,
            at + (at * 7 + walk.offset) % (self.jitter + 1) + skew,
            f"{index * (1 + basis):.8f}",
            f"{settle:.8f}",
            f"{index:.8f}",
            f"{rate:.8f}" if abs(rate) >= 5e-9 else "0.00000000",  # never "-0.00000000"
            funding_time,
            walk.margin,
        )
        return _pinned(row, self._pins[symbol]) if symbol in self._pins else row

    def rest_row(self, symbol: str, at: int) -> Row:
        """A symbol's row as REST tells it: the stream's, unless the two are to disagree."""
        row = self.row(symbol, at)
        if symbol not in self.disagreeing:
            return row
        return row._replace(
            mark_price=_moved(row.mark_price, factor=1.1), rate=_moved(row.rate, step=0.01)
        )

    def _decided(self, at: int, hours: int, funding_time: int) -> int:
        """The moment whose rate counts: around a settlement its own, so that r does not move."""
        if funding_time - at < STANDSTILL:
            return funding_time
        last = self.times.last(at, hours)
        return last if at - last <= STANDSTILL else at

    def _rate(self, walk: _Walk, at: int) -> float:
        premium = walk.premium + WOBBLE * self._slow[(at // 1000 + walk.offset) & MASK]
        rate = _funding_rate(walk, premium)
        if walk.crosser is not None and walk.crosser.field == "rate":
            rate += walk.crosser.lift((at - self.started) / 1000)
        return min(max(rate, -walk.cap), walk.cap)

    def pin(self, symbol: str, pin: Pin) -> None:
        """Holds fast what `pin` names, besides what is held already.

        Raises:
            ValueError: there is no such symbol.
        """
        if symbol not in self._walks:
            raise ValueError(f"the simulated market has no {symbol!r}")
        news = {name: value for name, value in asdict(pin).items() if value is not None}
        self._pins[symbol] = replace(self._pins.get(symbol, Pin()), **news)

    def unpin(self, symbol: str) -> None:
        """Lets a symbol follow the model again."""
        self._pins.pop(symbol, None)


def _funding_rate(walk: _Walk, premium: float) -> float:
    """The venue's formula, scaled to the interval."""
    rest = walk.interest - premium
    if -CLAMP <= rest <= CLAMP:
        return walk.interest * walk.hours / 8
    return (premium + (CLAMP if rest > 0 else -CLAMP)) * walk.hours / 8


def _moved(text: str, factor: float = 1.0, step: float = 0.0) -> str:
    """A number's text moved; another text, which only a pin can be, as it is."""
    try:
        return f"{float(text) * factor + step:.8f}"
    except ValueError:
        return text


def _pinned(row: Row, pin: Pin) -> Row:
    return Row(
        row.symbol,
        row.event_time,
        row.mark_price if pin.mark is None else pin.mark,
        row.settle_price if pin.settle is None else pin.settle,
        row.index_price if pin.index is None else pin.index,
        row.rate if pin.rate is None else pin.rate,
        row.next_funding_time if pin.next_funding_time is None else pin.next_funding_time,
        row.margin,
    )


def _walk(listing: Listing, seed: int, crosser: Crosser | None) -> _Walk:
    random = Random(f"{seed}:{listing.symbol}")
    lively = 0.00008 if listing.tradfi or listing.price > 80 else random.uniform(0.0001, 0.0004)
    basis, swing = random.gauss(0, 0.0003), 0.0004
    # Beyond -0.0004 and 0.0006 the rate leaves its rest; a third of the market does.
    premium = random.choice((random.uniform(-0.00065, -0.0002), random.uniform(0.0004, 0.00069)))
    if crosser is not None:  # nothing but the script moves what the script is about
        basis = crosser.quiet if crosser.field == "basis" else 0.0
        swing, premium = 0.0001, 0.0  # at rest
    basis = min(max(basis, -0.001), 0.001)
    return _Walk(
        listing.price, lively, basis, swing, premium, random.randrange(LENGTH),
        hours=listing.interval if listing.funded else 0,
        interest=0.0 if listing.tradfi else INTEREST,
        cap=float(listing.cap),
        margin=2 if listing.coin_margined else 1,
        crosser=crosser,
    )  # fmt: skip


@lru_cache(maxsize=4)
def _tables(seed: int) -> tuple[list[float], list[float], list[float]]:
    """The walks that all symbols read: of prices, of the basis, of the premium."""
    random = Random(f"{seed}:walks")
    return _bridge(random), _reverting(random, pull=0.02), _reverting(random, pull=0.002)


def _bridge(random: Random) -> list[float]:
    """A random walk of unit steps that ends where it began."""
    walk, at = [], 0.0
    for _ in range(LENGTH):
        walk.append(at)
        at += random.gauss(0, 1)
    return [value - at * step / LENGTH for step, value in enumerate(walk)]


def _reverting(random: Random, pull: float) -> list[float]:
    """A mean-reverting walk of deviation 1, kept within 3, that ends where it began."""
    size = (2 * pull - pull * pull) ** 0.5  # gives the stationary deviation of 1
    steps = [size * random.gauss(0, 1) for _ in range(LENGTH)]
    at = 0.0
    for step in steps:  # where the first round ends, having forgotten its start, ...
        at += step - pull * at
    walk = []
    for step in steps:  # ... the second begins and ends
        walk.append(min(max(at, -3.0), 3.0))
        at += step - pull * at
    return walk
