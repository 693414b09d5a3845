"""Rows that lack in the venue's answers: how long they count as they were.

Source: what the venue's answers were seen to do. A contract that is delisted stays in exchangeInfo
with another status, and its rows come with T = 0; one that merely lacks says nothing yet.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from bot.market.catalog import PERPETUAL, TRADFI, Catalog
from bot.market.catalog_changes import FEW
from bot.market.reading import HOUR
from bot.market.tick import Tick

ANSWERS = 3  # in a row, without a row that says otherwise: then it is believed
BELIEVED_AFTER = 235.0  # s from the first of these answers: two catalogs are 120 s apart
EARLY = 60_000  # ms: a row this long before T may tell of the next T
_Row = TypeVar("_Row")
Newest = Callable[[str], Tick | None]  # a symbol's newest row, where it is fresh


class Vanished:
    """What lacks in one half of the catalog; times are monotonic seconds."""

    def __init__(self) -> None:
        self.kept: frozenset[str] = frozenset()  # as of the last answer
        self._lacking: dict[str, tuple[int, float]] = {}  # answers so far, and the first's time

    def judge(
        self, lacking: Mapping[str, bool | None], now: float, *, doubting: bool = True
    ) -> None:
        """Takes what lacks in an answer, by symbol: whether it lives all the same; None: unknown.

        What lives is kept, what does not is given up; what nobody knows of is given up once it
        has lacked in so many answers and for so long, or at once where there is no doubt left.
        """
        known, self._lacking = self._lacking, {}
        for symbol, lives in lacking.items():
            if lives is None:
                count, since = known.get(symbol, (0, now))
                self._lacking[symbol] = count + 1, since
        overdue = {
            symbol
            for symbol, (count, since) in self._lacking.items()
            if not doubting or (count >= ANSWERS and now - since >= BELIEVED_AFTER)
        }
        alive = {symbol for symbol, lives in lacking.items() if lives is not False}
        self.kept = frozenset(alive - overdue)


def with_vanished(
    before: Catalog, after: Catalog, contracts: Collection[str], funding: Collection[str]
) -> Catalog:
    """The newer catalog with these rows of the one before."""
    merged = after.contracts
    if before.contracts is not None and after.contracts is not None:
        merged = _merged(before.contracts, after.contracts, contracts)
    return Catalog(merged, _merged(before.funding, after.funding, funding))


def vanished_contracts(before: Catalog, after: Catalog, newest: Newest) -> dict[str, bool | None]:
    """The trading contracts that lack in the newer catalog, and whether their rows show life."""
    if before.contracts is None or after.contracts is None:
        return {}
    return {
        symbol: _lives(contract.contract_type, newest(symbol))
        for symbol, contract in before.contracts.items()
        if contract.trades and symbol not in after.contracts
    }


def vanished_funding(before: Catalog, after: Catalog, newest: Newest) -> dict[str, bool | None]:
    """The fundings that lack for what still trades; False where T is further than they say.

    A missing row would mean 8 h.
    """
    found: dict[str, bool | None] = {}
    for symbol, funding in before.funding.items():
        if symbol in after.funding:
            continue
        tick, span = newest(symbol), funding.interval_hours * HOUR
        longer = tick is not None and 0 < span < tick.next_funding_time - tick.event_time - EARLY
        over = longer or after.trades(symbol) is False
        found[symbol] = False if over else None
    return found


def vanished_doubt(answer: str, kept: Collection[str], of: Iterable[str]) -> str:
    """Why an answer that lacks several rows is doubted; "" where few lack."""
    if len(kept) < FEW:
        return ""
    return f"{answer} lacks {len(kept)} of {sum(1 for _ in of)} rows that it had"


def _lives(contract_type: str, tick: Tick | None) -> bool | None:
    if tick is None or contract_type not in (PERPETUAL, TRADFI):
        return None  # a delivery contract has no T at any time
    if 0 < tick.next_funding_time < tick.event_time - HOUR:
        return None  # nobody moves its T on
    return tick.next_funding_time > 0


def _merged(
    before: Mapping[str, _Row], after: Mapping[str, _Row], kept: Collection[str]
) -> dict[str, _Row]:
    """In the order of before, so that what did not change reads the same."""
    stay = {s: after.get(s, row) for s, row in before.items() if s in after or s in kept}
    return stay | dict(after)
