"""The simulated market's contracts: hundreds of symbols of every kind that the venue streams."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from random import Random
from types import MappingProxyType

from bot.simulator import names

SETTLING = "SETTLING"
TRADING = "TRADING"
PERPETUAL = "PERPETUAL"
TRADFI = "TRADIFI_PERPETUAL"  # the venue's spelling
NEVER = 4_133_404_800_000  # ms; the deliveryDate of a perpetual that is not being delisted
DELISTED_AT = 1_738_314_000_000  # ms; 2025-01-31, as the venue still says of OMGUSDT
CYCLE = 60.0  # s; the crossers' script starts over


@dataclass(frozen=True, slots=True)
class Listing:
    """One contract. `interval` is in hours, 0 where it pays no funding; prices in quote units."""

    symbol: str
    base: str
    quote: str
    price: float
    contract_type: str = PERPETUAL
    status: str = TRADING
    interval: int = 8
    cap: str = "0.02000000"  # the floor is its negative
    underlying: str = "COIN"
    delivery: int = NEVER  # ms
    adjusted: bool = True  # whether fundingInfo lists it
    coin_margined: bool = False

    @property
    def tradfi(self) -> bool:
        return self.contract_type == TRADFI

    @property
    def funded(self) -> bool:
        return self.interval > 0 and self.status == TRADING


@dataclass(frozen=True, slots=True)
class Crosser:
    """A symbol whose `field` moves from `quiet` to `level` and back, once in every `CYCLE`.

    `field` is "rate" (a fraction per interval) or "basis" (mark / index - 1). `up_at` and `down_at`
    are the seconds after the start at which it is half way; it moves for 1 s before and after.
    """

    symbol: str
    field: str
    quiet: float
    level: float
    up_at: float
    down_at: float

    def lift(self, seconds: float) -> float:
        """How far above `quiet` it is, some seconds after the start."""
        at = seconds % CYCLE if seconds > 0 else 0.0
        share = _ramp(at - self.up_at) - _ramp(at - self.down_at)
        return (self.level - self.quiet) * share


def _ramp(seconds: float) -> float:
    return min(max((seconds + 1) / 2, 0.0), 1.0)


CROSSERS = (
    Crosser("DOGEUSDT", "rate", 0.0001, 0.0012, up_at=3, down_at=14),
    Crosser("SOLUSDT", "basis", 0.0002, 0.0075, up_at=6, down_at=18),
    Crosser("1000PEPEUSDT", "rate", 0.0001, -0.0015, up_at=9, down_at=22),
    Crosser("TSLAUSDT", "basis", -0.0003, -0.0090, up_at=12, down_at=26),
    Crosser("币安人生USDT", "rate", 0.00005, 0.0009, up_at=20, down_at=34),
    Crosser("BTCUSDT", "rate", 0.0001, 0.0007, up_at=25, down_at=40),
)


@dataclass(frozen=True, slots=True)
class Universe:
    """Every contract by symbol, in the venue's order, and the script of those that cross."""

    listings: Mapping[str, Listing]
    crossers: tuple[Crosser, ...] = CROSSERS

    def with_changes(self, changes: "Changes") -> "Universe":
        """The universe with other terms for some contracts."""
        listings = dict(self.listings)
        for symbol, hours in changes.intervals.items():
            listings[symbol] = replace(listings[symbol], interval=hours, adjusted=True)
        for symbol, cap in changes.caps.items():
            listings[symbol] = replace(listings[symbol], cap=cap, adjusted=True)
        for symbol in changes.delisted:
            listings[symbol] = replace(listings[symbol], status=SETTLING, delivery=DELISTED_AT)
        for symbol in changes.unlisted:
            listings.pop(symbol, None)
        return replace(self, listings=MappingProxyType(listings))


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different from the universe as it was built."""

    delisted: Iterable[str] = ()
    unlisted: Iterable[str] = ()
    intervals: Mapping[str, int] = field(default_factory=dict)  # h
    caps: Mapping[str, str] = field(default_factory=dict)


def build_universe(seed: int, count: int, at: int) -> Universe:
    """`count` contracts (at least those that every kind needs, about 30) as of a time (ms).

    Raises:
        ValueError: `count` is too small.
    """
    essential = list(_essential(datetime.fromtimestamp(at / 1000, UTC).date()))
    if count < len(essential):
        raise ValueError(f"symbols: expected at least {len(essential)}, got {count}")
    rest = islice(_rest(seed), count - len(essential))
    return Universe(MappingProxyType({each.symbol: each for each in (*essential, *rest)}))


def _essential(today: date) -> Iterator[Listing]:
    """One or more of every kind, whatever the size of the market."""
    for base, price in zip(
        names.MAJORS, (85840, 2890, 133, 2.1, 845, 0.146, 0.42, 12.8), strict=True
    ):
        cap = "0.00300" if base in ("BTC", "ETH") else "0.02000000"  # uneven decimals, as sent
        yield Listing(f"{base}USDT", base, "USDT", price, cap=cap)
    for base, price, hours in zip(names.UNUSUAL, _UNUSUAL_PRICES, _UNUSUAL_HOURS, strict=True):
        yield Listing(f"{base}USDT", base, "USDT", price, interval=hours)
    yield Listing("BTCUSDC", "BTC", "USDC", 85835, cap="0.00300")
    yield Listing("AVAXUSDT", "AVAX", "USDT", 13.9, adjusted=False)
    yield from (_tradfi("XAU", 4103.9), _tradfi("TSLA", 391.1))
    kinds = ("CURRENT_QUARTER", "NEXT_QUARTER")
    for kind, day in zip(kinds, next_quarters(today, 2), strict=True):
        yield from (_quarterly("BTC", 85884, day, kind), _quarterly("ETH", 2893, day, kind))
    yield from (_delisted("MATIC", 0.3794), _delisted("EOS", 0.7821))
    yield Listing("BTCUSD_PERP", "BTC", "USD", 85810, cap="0.00300", coin_margined=True)
    yield Listing("ETHUSD_PERP", "ETH", "USD", 2889, cap="0.00300", coin_margined=True)


_UNUSUAL_PRICES = (0.00452, 0.1317, 0.0482, 0.0219, 0.2144, 0.171, 0.0239, 0.0081)
_UNUSUAL_HOURS = (8, 4, 4, 1, 4, 8, 4, 8)


def _rest(seed: int) -> Iterator[Listing]:
    """The rest of the market in a mix like the venue's, without end."""
    random = Random(f"{seed}:listings")

    def price() -> float:
        return float(f"{10 ** random.uniform(-2, 2.3):.4g}")

    for base in names.ALTERNATIVES[1:24]:
        yield _alternative(base, price(), random)
    yield from (_tradfi(base, float(f"{price() + 50:.5g}")) for base in list(names.TRADFI)[2:])
    yield from (_delisted(base, price()) for base in names.DELISTED[2:])
    for base in names.USDC_PAIRS[1:]:
        yield Listing(f"{base}USDC", base, "USDC", price())
    for base in ("XRP", "SOL", "BNB", "DOGE"):
        yield Listing(f"{base}USD_PERP", base, "USD", price(), coin_margined=True)
    for base in names.ALTERNATIVES[24:]:
        yield _alternative(base, price(), random)
    for base in names.invented(seed):
        yield _alternative(base, price(), random)


def _alternative(base: str, price: float, random: Random) -> Listing:
    hours = random.choices((8, 4, 2, 1), (40, 50, 2, 8))[0]
    adjusted = hours != 8 or random.random() > 0.1
    return Listing(f"{base}USDT", base, "USDT", price, interval=hours, adjusted=adjusted)


def _tradfi(base: str, price: float) -> Listing:
    return Listing(
        f"{base}USDT", base, "USDT", price, contract_type=TRADFI, interval=4, cap="0.00500",
        underlying=names.TRADFI[base],
    )  # fmt: skip


def _delisted(base: str, price: float) -> Listing:
    return Listing(
        f"{base}USDT", base, "USDT", price, status=SETTLING, delivery=DELISTED_AT, adjusted=False
    )


def _quarterly(base: str, price: float, day: date, kind: str) -> Listing:
    delivery = int(datetime(day.year, day.month, day.day, 8, tzinfo=UTC).timestamp() * 1000)
    return Listing(
        f"{base}USDT_{day:%y%m%d}", base, "USDT", price, contract_type=kind, interval=0,
        delivery=delivery, adjusted=False,
    )  # fmt: skip


def next_quarters(today: date, count: int) -> list[date]:
    """The next delivery days after today: the last Fridays of March, June, September, December."""
    months = ((today.year + n // 12, n % 12 + 1) for n in range(today.month - 1, today.month + 11))
    fridays = (_last_friday(year, month) for year, month in months if month % 3 == 0)
    return list(islice((day for day in fridays if day > today), count))


def _last_friday(year: int, month: int) -> date:
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - 4) % 7)
