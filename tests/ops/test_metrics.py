import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bot.ops.metrics import Metrics, build_metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_figure_is_shown_under_its_name() -> None:
    metrics = build_metrics("1.2.3")
    metrics.rows.inc(750)
    metrics.conflated.inc(2)
    metrics.dropped.labels("coin-m").inc()
    metrics.events.labels("fired").inc()
    metrics.outbox.labels("new").set(3)
    metrics.sends.labels("Sent").inc()
    metrics.commit.observe(0.0002)
    metrics.feed_lag.set(1.5)
    metrics.firing.set(4)
    metrics.connected.set(2)
    metrics.reconnects.inc()
    shown = samples(metrics)
    expected = {
        ("fundingbot_build_info", ("1.2.3",)): 1,
        ("fundingbot_rows_total", ()): 750,
        ("fundingbot_rows_conflated_total", ()): 2,
        ("fundingbot_rows_dropped_total", ("coin-m",)): 1,
        ("fundingbot_events_total", ("fired",)): 1,
        ("fundingbot_outbox_rows", ("new",)): 3,
        ("fundingbot_sends_total", ("Sent",)): 1,
        ("fundingbot_commit_seconds_count", ()): 1,
        ("fundingbot_feed_lag_seconds", ()): 1.5,
        ("fundingbot_alerts_firing", ()): 4,
        ("fundingbot_stream_connections", ()): 2,
        ("fundingbot_stream_reconnects_total", ()): 1,
    }
    assert {key: shown[key] for key in expected} == expected


def test_two_bundles_share_nothing() -> None:
    first, second = build_metrics("1"), build_metrics("1")
    first.rows.inc()
    assert samples(second)["fundingbot_rows_total", ()] == 0


def test_the_documentation_names_every_figure_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(fundingbot_\w+)(?:\{(\w+)\})?` \|", text, re.MULTILINE)
    shown = set()
    for metric in build_metrics("1").registry._collector_to_names:
        suffix = "_total" if metric._type == "counter" else ""  # type: ignore[attr-defined]
        labels = ",".join(metric._labelnames)  # type: ignore[attr-defined]
        shown.add((f"{metric._name}{suffix}", labels))  # type: ignore[attr-defined]
    assert sorted(rows) == sorted(shown)
