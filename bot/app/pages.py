"""What the health pages show: readiness in words, and the figures."""

import time
from collections import Counter
from collections.abc import Callable

from bot.app.live import Parts
from bot.market.feed import FeedStatus
from bot.market.stream import MarketStream
from bot.notify.notifier import Notifier
from bot.notify.port import DATABASE, TOKEN, UNREACHABLE
from bot.ops.health import Page, pages

FRESH = 15.0  # s: a row this young says that rows flow
_BLOCKING = (DATABASE, UNREACHABLE, TOKEN)


class Figures:
    """Reads the running parts into the metrics, and judges whether the bot does its work."""

    def __init__(
        self,
        parts: Parts,
        stream: MarketStream,
        notifier: Notifier,
        rejected: Callable[[], int],
    ) -> None:
        """`rejected` counts the rows that were too far ahead of the clock."""
        self.metrics = parts.metrics
        self._engine = parts.engine
        self._store = parts.store
        self._faults = parts.faults
        self._stream = stream
        self._notifier = notifier
        self._rejected = rejected
        self._seen: Counter[tuple[str, str]] = Counter()

    def pages(self) -> dict[str, Page]:
        return pages(self.readiness, self.metrics.exposition)

    def readiness(self) -> tuple[bool, str]:
        """Whether rows flow and messages can be sent, and if not, why not."""
        last = self._stream.status().last_row
        if last is None or time.monotonic() - last > FRESH:
            return False, "no rows flow"
        blocking = [kind for kind in _BLOCKING if self._faults.is_active(kind)]
        if blocking:
            return False, f"cannot deliver: {', '.join(blocking)}"
        return True, "rows flow and messages can be sent"

    async def take(self) -> None:
        """Brings the metrics up to date."""
        status, metrics = self._stream.status(), self.metrics
        metrics.rows.inc(self._new("rows", "", status.rows))
        metrics.conflated.inc(self._new("conflated", "", status.conflated))
        metrics.reconnects.inc(self._new("connects", "", max(status.connects - 1, 0)))
        for reason, count in self._passed_over(status).items():
            metrics.dropped.labels(reason).inc(self._new("dropped", reason, count))
        for outcome, count in self._notifier.delivery.outcomes.items():
            metrics.sends.labels(outcome).inc(self._new("sends", outcome, count))
        metrics.buried.inc(self._new("buried", "", self._notifier.buried))
        metrics.connected.set(0 if status.connected_since is None else 1)
        if status.last_row is not None:
            metrics.feed_lag.set(time.monotonic() - status.last_row)
        metrics.firing.set(sum(1 for _ in self._engine.on()))
        counts = await self._store.outbox_counts()
        for name, count in counts.items():
            metrics.outbox.labels(str(name)).set(count)

    def _passed_over(self, status: FeedStatus) -> dict[str, int]:
        """Rows that the engine did not decide on, by reason."""
        own = {"repeated": self._engine.repeated, "ahead": self._rejected()}
        return {**status.skipped, **own}

    def _new(self, name: str, label: str, total: int) -> int:
        """By how much a running total has grown since it was last taken."""
        grown = max(total - self._seen[name, label], 0)
        self._seen[name, label] = total
        return grown
