"""The figures that a running bot shows at `/metrics`; `docs/operations.md` explains each."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# A commit takes 0.2 ms on a good disk; a second means that the disk is in trouble.
_COMMIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every figure, in a registry of its own. Durations are seconds, as Prometheus has them."""

    registry: CollectorRegistry
    rows: Counter  # mark price rows that reached the engine
    conflated: Counter  # rows that a newer row of the same symbol replaced before
    dropped: Counter  # rows passed over, by reason
    events: Counter  # told events, by kind
    outbox: Gauge  # rows of the outbox, by status
    sends: Counter  # attempts to send, by outcome
    outbox_dropped: Counter  # alerts not sent because their rule ended first
    buried: Counter  # alerts that grew too old to be sent
    commit: Histogram  # duration of a transaction
    feed_lag: Gauge  # since the newest row was sent by the venue
    firing: Gauge  # alerts that are on
    connected: Gauge  # open stream connections
    reconnects: Counter  # connections opened to replace a lost one

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


def build_metrics(version: str) -> Metrics:
    """New figures, all at zero."""
    registry = CollectorRegistry()

    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"fundingbot_{name}", text, labels, registry=registry)

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"fundingbot_{name}", text, labels, registry=registry)

    gauge("build_info", "1, for the version that runs", "version").labels(version).set(1)
    return Metrics(
        registry=registry,
        rows=counter("rows", "Mark price rows that reached the engine"),
        conflated=counter("rows_conflated", "Rows replaced by a newer one before their turn"),
        dropped=counter("rows_dropped", "Rows passed over", "reason"),
        events=counter("events", "Events told", "kind"),
        outbox=gauge("outbox_rows", "Rows of the outbox", "status"),
        sends=counter("sends", "Attempts to send a message", "outcome"),
        outbox_dropped=counter("outbox_dropped", "Alerts not sent because their rule ended first"),
        buried=counter("alerts_too_late", "Alerts that grew too old to be sent"),
        commit=Histogram(
            "fundingbot_commit_seconds",
            "Duration of a transaction",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        ),
        feed_lag=gauge("feed_lag_seconds", "Age of the newest row, by the venue's clock"),
        firing=gauge("alerts_firing", "Alerts that are on"),
        connected=gauge("stream_connections", "Open connections to the stream"),
        reconnects=counter("stream_reconnects", "Connections opened in place of a lost one"),
    )
