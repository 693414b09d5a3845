"""What the health pages show: whether the bot does its work, and the figures."""

import time
from collections import Counter
from collections.abc import Callable

from bot.app.feed_view import stale_symbols
from bot.app.parts import Parts
from bot.app.vitals import Vitals
from bot.market.feed import FeedStatus
from bot.notify.notifier import Notifier
from bot.ops.health import Page, pages
from bot.ops.heartbeat import Heartbeat
from bot.ops.judgement import ready


class Figures:
    """Reads the running parts into the metrics."""

    def __init__(
        self,
        parts: Parts,
        vitals: Vitals,
        notifier: Notifier,
        heartbeat: Heartbeat,
        rejected: Callable[[], int],
    ) -> None:
        """`rejected` counts the rows that were too far ahead of the clock."""
        self.metrics = parts.metrics
        self._engine = parts.engine
        self._store = parts.store
        self._faults = parts.faults
        self._vitals = vitals
        self._notifier = notifier
        self._heartbeat = heartbeat
        self._began = time.monotonic()
        self._rejected = rejected
        self._seen: Counter[tuple[str, str]] = Counter()

    def pages(self) -> dict[str, Page]:
        return pages(self._vitals.work, self.metrics.exposition)

    async def take(self) -> None:
        """Brings the metrics up to date."""
        status, metrics = self._vitals.feed(), self.metrics
        metrics.rows.inc(self._new("rows", "", status.rows))
        metrics.conflated.inc(self._new("conflated", "", status.conflated))
        metrics.connects.inc(self._new("connects", "", status.connects))
        metrics.reconnects.inc(self._new("reconnects", "", status.reconnects))
        metrics.handovers.inc(self._new("handovers", "", status.handovers))
        for reason, count in self._passed_over(status).items():
            metrics.dropped.labels(reason).inc(self._new("dropped", reason, count))
        for outcome, count in self._notifier.delivery.outcomes.items():
            metrics.sends.labels(outcome).inc(self._new("sends", outcome, count))
        metrics.buried.inc(self._new("buried", "", self._notifier.buried))
        if self._vitals.copying is not None:
            for result, count in self._vitals.copying.results.items():
                metrics.fallback_sends.labels(result).inc(self._new("fallback", result, count))
        for result, count in self._heartbeat.results.items():
            metrics.heartbeats.labels(result).inc(self._new("heartbeats", result, count))
        self._take_feed(status)
        if (recording := self._vitals.recording()) is not None:
            metrics.recording_bytes.set(recording.size)
            metrics.recording_missed.inc(self._new("missed", "", recording.missed))
        metrics.firing.set(sum(1 for _ in self._engine.on()))
        metrics.faults.set(len(self._faults.present))
        metrics.ready.set(ready(self._vitals.work()).ok)
        counts = await self._store.outbox_counts()
        for name, count in counts.items():
            metrics.outbox.labels(str(name)).set(count)

    def _take_feed(self, status: FeedStatus) -> None:
        metrics, now = self.metrics, time.monotonic()
        metrics.connected.set(len(status.links))
        metrics.feed_lag.set(now - (status.last_row or self._began))
        metrics.row_lag.set(status.lag or 0.0)
        metrics.skew.set(status.skew or 0.0)
        metrics.unanswered.set(len(status.unanswered))
        by_rest = self._vitals.by_rest()
        stale = stale_symbols(self._engine, status.streams)
        metrics.stale.set(sum(name not in by_rest for name in stale))
        metrics.by_rest.set(len(by_rest))
        metrics.catalog_age.set(now - (self._vitals.catalog_at() or self._began))

    def _passed_over(self, status: FeedStatus) -> dict[str, int]:
        """Rows that the engine did not decide on, by reason."""
        own = {"repeated": self._engine.repeated + status.repeated, "ahead": self._rejected()}
        return {**status.skipped, **own}

    def _new(self, name: str, label: str, total: int) -> int:
        """By how much a running total has grown since it was last taken."""
        grown = max(total - self._seen[name, label], 0)
        self._seen[name, label] = total
        return grown
