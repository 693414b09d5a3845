"""What is new in a catalog, strongest first, and whether a new one is to be believed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from bot.market.binance import is_coin_margined
from bot.market.catalog import Catalog, Contract
from bot.market.number import Value

DEFAULT_HOURS = 8  # fundingInfo lists what was adjusted; the others pay every 8 h
PENDING = "PENDING_TRADING"  # listed, not yet traded
# Fewer contracts may well leave in one day; more of them at once, and half of all, is a fault of
# the venue's answer until time says otherwise.
FEW = 5


class News(IntEnum):
    """What can happen to a contract; the smaller, the stronger."""

    GONE = 1  # it traded and does not any more
    AGAIN = 2  # it was gone and trades again
    INTERVAL = 3
    LIMITS = 4  # another cap or floor
    LISTED = 5  # it trades and never did before


@dataclass(frozen=True, slots=True)
class Terms:
    """A contract's funding: hours between payments, cap and floor as fractions; None: unknown."""

    hours: int
    cap: Fraction | None = None
    floor: Fraction | None = None


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What happened to one contract; `status` is the venue's word now, "" where it has none."""

    news: News
    symbol: str
    status: str
    before: Terms
    after: Terms


def catalog_changes(
    before: Catalog, after: Catalog, taught: Mapping[str, int] | None = None
) -> list[CatalogChange]:
    """The changes from one catalog to the next, strongest first, then by symbol.

    `taught` has the hours that the steps of T taught, for symbols that fundingInfo does not list.
    Where a half was not known before, nothing of it is a change.
    """
    found: list[CatalogChange] = []
    steps = taught or {}
    if before.contracts is not None and after.contracts is not None:
        for symbol in before.contracts.keys() | after.contracts.keys():
            news = _of_trading(before.contracts.get(symbol), after.contracts.get(symbol))
            if news is not None:
                found.append(_change(news, symbol, before, after, steps))
    if before.funding:
        for symbol in _still_trading(before, after):
            terms = _terms(before, symbol, steps), _terms(after, symbol, steps)
            if terms[0].hours != terms[1].hours:
                found.append(_change(News.INTERVAL, symbol, before, after, steps))
            if _other_limits(*terms):
                found.append(_change(News.LIMITS, symbol, before, after, steps))
    return sorted(found, key=lambda change: (change.news, change.symbol))


def contracts_doubt(before: Catalog, after: Catalog) -> str:
    """Why an exchangeInfo answer is not to be believed; "" where it is."""
    trading, left = _trading(before), _trading(after)
    lost = sum(symbol not in left for symbol in trading)
    if lost >= FEW and 2 * lost > len(trading):
        return f"exchangeInfo lost {lost} of {len(trading)} trading contracts at once"
    return ""


def funding_doubt(before: Catalog, after: Catalog) -> str:
    """Why a fundingInfo answer is not to be believed; "" where it is."""
    lost = sum(symbol not in after.funding for symbol in before.funding)
    if before.funding and not after.funding:
        return f"fundingInfo is empty; it had {len(before.funding)} rows"
    if lost >= FEW and 2 * lost > len(before.funding):
        return f"fundingInfo lost {lost} of {len(before.funding)} rows at once"
    return ""


def _of_trading(old: Contract | None, new: Contract | None) -> News | None:
    traded, trades = old is not None and old.trades, new is not None and new.trades
    if traded == trades:
        return None
    if traded:
        return News.GONE
    return News.LISTED if old is None or old.status == PENDING else News.AGAIN


def _still_trading(before: Catalog, after: Catalog) -> Iterable[str]:
    """The symbols whose funding can have changed: those that trade, then as now."""
    if after.contracts is None:
        listed = before.funding.keys() | after.funding.keys()
        return (symbol for symbol in listed if not is_coin_margined(symbol))
    return (
        symbol
        for symbol, contract in after.contracts.items()
        if contract.trades and before.trades(symbol) is not False
    )


def _change(
    news: News, symbol: str, before: Catalog, after: Catalog, taught: Mapping[str, int]
) -> CatalogChange:
    contract = (after.contracts or {}).get(symbol)
    status = "" if contract is None else contract.status
    return CatalogChange(
        news, symbol, status, _terms(before, symbol, taught), _terms(after, symbol, taught)
    )


def _terms(catalog: Catalog, symbol: str, taught: Mapping[str, int]) -> Terms:
    row = catalog.funding.get(symbol)
    hours = (row.interval_hours if row else 0) or taught.get(symbol, DEFAULT_HOURS)
    return Terms(hours, _exact(row.cap), _exact(row.floor)) if row else Terms(hours)


def _other_limits(before: Terms, after: Terms) -> bool:
    """Whether cap or floor is another; one that was or is not known is none."""
    pairs = ((before.cap, after.cap), (before.floor, after.floor))
    return any(old is not None and new is not None and old != new for old, new in pairs)


def _exact(value: Value | None) -> Fraction | None:
    return None if value is None else value.exact


def _trading(catalog: Catalog) -> set[str]:
    return {symbol for symbol, row in (catalog.contracts or {}).items() if row.trades}
