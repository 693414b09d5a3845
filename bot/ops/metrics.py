"""The figures that a running bot shows at `/metrics`; `docs/operations.md` explains each."""

from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

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
    paused: Gauge  # rules that are paused in a chat, each chat by itself
    held: Gauge  # alerts that are held, by reason
    summed: Counter  # alerts of which only a summary told
    commit: Histogram  # duration of a transaction
    firing: Gauge  # alerts that are on
    feed_lag: Gauge  # since a row came; since the start where none has
    row_lag: Gauge  # from a row's event time to its coming, the clocks' skew taken out
    skew: Gauge  # this machine's clock minus the venue's
    stale: Gauge  # wanted symbols without a fresh row
    by_rest: Gauge  # symbols whose values REST brings, not the stream
    unanswered: Gauge  # streams that were acknowledged and stay silent
    connected: Gauge  # open stream connections
    connects: Counter  # attempts to open one
    reconnects: Counter  # connections opened to replace a lost one
    handovers: Counter  # connections that took over from one still open
    catalog_age: Gauge  # since the catalog was taken
    recording_bytes: Gauge  # size of the present file of the recording
    recording_missed: Counter  # entries that the recording lacks
    heartbeats: Counter  # calls of HEARTBEAT_URL, by result
    fallback_sends: Counter  # attempts to send by the second channel, by result
    faults: Gauge  # faults that the admins were told of and that last
    ready: Gauge  # 1 as long as /readyz says so

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


def build_metrics(version: str) -> Metrics:
    """New figures, all at zero."""
    # A gauge beside each counter is of no use to anybody. (The library leaves it untyped.)
    disable_created_metrics()  # type: ignore[no-untyped-call]
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
        paused=gauge("rules_paused", "Rules paused in a chat for telling too much"),
        held=gauge("alerts_held", "Alerts held back", "reason"),
        summed=counter("alerts_summed", "Alerts of which only a summary told"),
        commit=Histogram(
            "fundingbot_commit_seconds",
            "Duration of a transaction",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        ),
        firing=gauge("alerts_firing", "Alerts that are on"),
        feed_lag=gauge("feed_lag_seconds", "Since the last row came"),
        row_lag=gauge("row_lag_seconds", "From a row's event time to its coming, without skew"),
        skew=gauge("clock_skew_seconds", "This machine's clock minus the venue's"),
        stale=gauge("symbols_stale", "Wanted symbols without a fresh row"),
        by_rest=gauge("symbols_by_rest", "Symbols whose values REST brings, not the stream"),
        unanswered=gauge(
            "streams_unanswered", "Streams acknowledged by the venue that stay silent"
        ),
        connected=gauge("stream_connections", "Open connections to the stream"),
        connects=counter("stream_connects", "Attempts to open a connection"),
        reconnects=counter("stream_reconnects", "Connections opened in place of a lost one"),
        handovers=counter("stream_handovers", "Connections that took over from an open one"),
        catalog_age=gauge("catalog_age_seconds", "Since the catalog was taken"),
        recording_bytes=gauge("recording_bytes", "Size of the present file of the recording"),
        recording_missed=counter("recording_missed", "Entries that the recording lacks"),
        heartbeats=counter("heartbeats", "Calls of HEARTBEAT_URL", "result"),
        fallback_sends=counter(
            "fallback_sends", "Attempts to send by the second channel", "result"
        ),
        faults=gauge("faults_active", "Faults that last"),
        ready=gauge("ready", "1 as long as rows flow and messages can be sent"),
    )
