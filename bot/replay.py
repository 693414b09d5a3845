"""What rules would have sent on recorded data: the real engine, no network, no store on disk."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.alerts.engine import Engine
from bot.alerts.event import Event
from bot.market.capture import CaptureLine
from bot.market.catalog import Catalog
from bot.rules.rule import Rule


@dataclass(slots=True)
class Summary:
    """What a replay has read and told so far. Times are event times in ms; 0: no row yet."""

    lines: int = 0
    rows: int = 0
    symbols: int = 0
    repeated: int = 0  # rows at or before their symbol's last event time
    first: int = 0
    last: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # lines and rows, by reason
    broken: list[str] = field(default_factory=list)  # "FILE:LINE: message"
    events: Counter[str] = field(default_factory=Counter)  # by kind


def replay(
    lines: Iterable[CaptureLine],
    rules: tuple[Rule, ...],
    catalog: Catalog,
    summary: Summary,
    *,
    stale_after: int = 30_000,
) -> Iterator[Event]:
    """The events that the rules cause, in order. The clock is the greatest event time seen."""
    engine = Engine(rules, catalog, stale_after=stale_after)
    for line in lines:
        summary.lines += 1
        if line.frame is None:
            summary.broken.append(f"{line.path}:{line.number}: {line.problem}")
            continue
        summary.skipped.update(line.frame.skipped)
        if not line.frame.ticks:
            continue
        events = engine.on_frame(line.frame.ticks)
        events += engine.advance(engine.clock)
        summary.rows += len(line.frame.ticks)
        summary.first = summary.first or engine.clock
        summary.last = engine.clock
        for event in events:
            summary.events[event.kind] += 1
            yield event
    summary.symbols = len(engine.symbols)
    summary.repeated = engine.repeated


def event_object(event: Event) -> dict[str, Any]:
    """An event as the outside contract of `replay --json` writes it."""
    return {
        "at": event.at,
        "event": str(event.kind),
        "rule": event.rule,
        "symbol": event.symbol,
        "since": event.since,
        "values": event.values,
        "already": event.already,
    }
