"""Changes of the catalog that one answer tells: they wait until another one, or a row, agrees.

A venue that takes back what it said (TRADING, BREAK and TRADING again; 8 h, 1 h and 8 h again)
would otherwise end alerts, and be told, at every catalog.
"""

from collections.abc import Callable, Collection, Iterable

from bot.market.catalog import PERPETUAL, TRADFI, Catalog
from bot.market.catalog_changes import CatalogChange, News
from bot.market.reading import HOUR
from bot.market.tick import Tick

AGREED_AFTER = 30.0  # s from the first answer to one that counts as another
EARLY = 60_000  # ms: a row this long before T may tell of the next T
_Key = tuple[News, str, int]  # what, of which symbol, and the hours that it pays now


class Unconfirmed:
    """What was told once of one half of the catalog; times are monotonic seconds."""

    def __init__(self) -> None:
        self.waiting: frozenset[str] = frozenset()  # symbols, as of the last answer
        self._told: dict[_Key, float] = {}  # and by which time first

    def judge(
        self,
        changes: Iterable[CatalogChange],
        now: float,
        is_shown: Callable[[CatalogChange], bool],
    ) -> None:
        """Takes the changes that an answer tells; `is_shown`: whether rows tell them as well."""
        known, self._told = self._told, {}
        for change in changes:
            hours = change.after.hours if change.news is News.INTERVAL else 0
            key = change.news, change.symbol, hours
            since = known.get(key, now)
            if not is_shown(change) and now - since < AGREED_AFTER:
                self._told[key] = since
        self.waiting = frozenset(symbol for _, symbol, _ in self._told)


def with_former(
    before: Catalog, after: Catalog, contracts: Collection[str], funding: Collection[str]
) -> Catalog:
    """The newer catalog, in which these contracts and fundings are as they were before."""
    merged = after.contracts
    if merged is not None and before.contracts is not None:
        merged = {s: before.contracts[s] if s in contracts else row for s, row in merged.items()}
    rows = {s: before.funding.get(s) if s in funding else row for s, row in after.funding.items()}
    return Catalog(merged, {s: row for s, row in rows.items() if row is not None})


def shows_gone(contract_type: str, tick: Tick | None) -> bool:
    """Whether a fresh row says that its contract pays no more: T = 0.

    Source: the venue's rows of delisted contracts. A delivery contract has no T at any time.
    """
    return tick is not None and contract_type in (PERPETUAL, TRADFI) and not tick.next_funding_time


def shows_hours(before: int, after: int, tick: Tick | None) -> bool:
    """Whether T of a fresh row fits an interval of so many hours, and not the one before.

    Source: the venue settles at the hours of the UTC day that the interval divides; T has a jitter.
    """
    if tick is None or tick.next_funding_time <= 0:
        return False
    ahead = tick.next_funding_time - tick.event_time - EARLY
    return _fits(after, tick.next_funding_time, ahead) and not _fits(
        before, tick.next_funding_time, ahead
    )


def _fits(hours: int, funding_time: int, ahead: int) -> bool:
    span = hours * HOUR
    off = (funding_time + EARLY) % span
    return ahead <= span and off <= 2 * EARLY
