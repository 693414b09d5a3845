"""The feed as people see it: the figures of the stream beside what the engine knows."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import overload

from bot.alerts.engine import Engine
from bot.alerts.symbol import SymbolMemory
from bot.app.feed_watch import NOT_TAKEN
from bot.chat.world import FeedView, LinkView
from bot.market.feed import FeedStatus
from bot.ops.judgement import ROW_WITHIN


@dataclass(frozen=True, slots=True)
class SymbolsView:
    """How many wanted symbols have had a row, and those with which something is the matter."""

    count: int = 0
    stale: tuple[str, ...] = ()
    by_rest: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def symbols_view(
    engine: Engine, streams: Sequence[str], by_rest: Container[str] = ()
) -> SymbolsView:
    """The symbols that the streams should bring; `by_rest` are those whose values REST brings.

    One that is not traded counts only where a rule names it.
    """
    catalog = engine.catalog
    named = {name for rule in engine.rules for name in rule.selection.names(catalog) or ()}
    memories = _wanted_memories(engine, streams)
    return SymbolsView(
        count=len(memories),
        stale=tuple(name for name in stale_symbols(engine, streams) if name not in by_rest),
        by_rest=tuple(sorted(one.symbol for one in memories if one.symbol in by_rest)),
        gone=tuple(sorted(name for name in named if catalog.trades(name) is False)),
    )


def stale_symbols(engine: Engine, streams: Sequence[str]) -> list[str]:
    """Wanted symbols that trade and have no fresh row, by name."""
    return sorted(
        memory.symbol
        for memory in _wanted_memories(engine, streams)
        if engine.clock - memory.tick.event_time > engine.stale_after
    )


def _wanted_memories(engine: Engine, streams: Sequence[str]) -> list[SymbolMemory]:
    wanted = _wanted(streams)
    return [
        memory
        for memory in engine.symbols.values()
        if (wanted is None or memory.symbol in wanted)
        and engine.catalog.trades(memory.symbol) is not False
    ]


def _wanted(streams: Sequence[str]) -> frozenset[str] | None:
    """The symbols of per-symbol streams; None where all share the array stream."""
    if any(stream.startswith("!") for stream in streams):
        return None
    return frozenset(stream.partition("@")[0].upper() for stream in streams)


def feed_view(
    status: FeedStatus, symbols: SymbolsView, catalog_at: float | None, now: float
) -> FeedView:
    """`now` and `catalog_at` are monotonic seconds, as the times of the status are."""

    def age(at: float | None) -> int | None:
        return None if at is None else in_ms(now - at)

    state = _state(status, now)
    return FeedView(
        state=state,
        row_age=age(status.last_taken),
        rows_per_second=status.rows_per_second,
        lag=in_ms(status.lag),
        skew=in_ms(status.skew),
        links=tuple(LinkView(in_ms(now - link.since), link.streams) for link in status.links),
        next_connect=None if status.next_connect is None else in_ms(status.next_connect - now),
        problem=_problem(status, state, now),
        reconnect_age=age(status.reconnected_at),
        reconnect_reason=status.reconnect_reason,
        handover_age=age(status.handed_over_at),
        catalog_age=age(catalog_at),
        symbols=symbols.count,
        stale=symbols.stale,
        by_rest=symbols.by_rest,
        gone=symbols.gone,
        unanswered=status.unanswered,
    )


@overload
def in_ms(seconds: float) -> int: ...
@overload
def in_ms(seconds: None) -> None: ...
@overload
def in_ms(seconds: float | None) -> int | None: ...
def in_ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _problem(status: FeedStatus, state: str, now: float) -> str:
    """Why no rows flow, or why those that do are of no use."""
    if state == "flows":
        return ""
    useless = status.last_row is not None and now - status.last_row <= ROW_WITHIN
    return NOT_TAKEN if state == "silent" and useless else status.problem


def _state(status: FeedStatus, now: float) -> str:
    if status.connected_since is not None:
        fresh = status.last_taken is not None and now - status.last_taken <= ROW_WITHIN
        return "flows" if fresh else "silent"
    return "connecting" if status.next_connect is None else "waiting"
