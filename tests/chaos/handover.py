"""Programs side by side on the same rows, in this process, so that what they took can be seen."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bot.alerts.event import Event
from bot.alerts.symbol import SymbolMemory
from bot.app.desk import Desk
from bot.app.rules_source import RulesSource
from bot.app.run import Program, build
from bot.app.wiring import Wiring
from bot.market.stream import StreamSettings
from bot.market.tick import Tick
from bot.notify.console import Console
from bot.simulator.server import Simulator
from bot.store.memory import MemoryStore
from tests.app.program import ADMIN
from tests.chaos.delivered import Grade, Judge, Row
from tests.chaos.lane import WATCHED
from tests.chaos.tap import Tap

STALE = 30_000  # ms
HOUR = 3600.0
NEAR = 600  # ms; rows come every 250
BASE = [
    f'{{name: "of {symbol}", symbols: {symbol}, when: "rate > {watch.threshold}"'
    + (f", for: {watch.hold // 1000}s}}" if watch.hold else "}")
    for symbol, watch in WATCHED.items()
]
# With these there are more symbols than a connection of few streams carries.
MORE = '{name: more, symbols: [SOLUSDT, BNBUSDT, ADAUSDT, LINKUSDT], when: "rate > 50%"}'
ALL = '{name: everything, symbols: [ALL], when: "rate > 50%"}'


class Moment(NamedTuple):
    """One event, as far as two runs on the same rows must agree about it."""

    kind: str
    symbol: str
    at: int
    since: int

    def is_near(self, rows: Iterable[tuple[str, int]]) -> bool:
        """Whether it was decided on one of these rows, or on the one before or after."""
        return any(symbol == self.symbol and abs(at - self.at) <= NEAR for symbol, at in rows)


@dataclass
class Side:
    """A program, its tap, and what it took and decided."""

    name: str
    program: Program
    tap: Tap
    rules: Path
    taken: list[tuple[str, int]] = field(default_factory=list)
    events: list[Moment] = field(default_factory=list)

    def listen(self) -> None:
        """Looks over the engine's shoulder."""
        engine = self.program.engine
        admit, decide, pass_time = engine._admit, engine.decide, engine.pass_time

        def admitting(tick: Tick) -> SymbolMemory | None:
            memory = admit(tick)
            if memory is not None:
                self.taken.append((tick.symbol, tick.event_time))
            return memory

        def deciding(ticks: Sequence[Tick]) -> Iterator[Event]:
            return self._noted(decide(ticks))

        def advancing(now: int) -> Iterator[Event]:
            return self._noted(pass_time(now))

        for name, listening in (
            ("_admit", admitting),
            ("decide", deciding),
            ("pass_time", advancing),
        ):
            setattr(engine, name, listening)

    def _noted(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            self.events.append(Moment(str(event.kind), event.symbol, event.at, event.since))
            yield event

    async def use(self, *rules: str) -> None:
        """Edits the rules file, and lets the program see it."""
        write(self.rules, rules)
        await self.program._look_at_rules()

    def delivered(self, begun: float, ended: float) -> list[Row]:
        """The rows of watched symbols that the program must have taken."""
        judged = Judge(STALE, self.tap.times).all(self.tap.rows)
        return [
            each.row
            for each in judged
            if each.grade is Grade.GOOD
            and each.row.symbol in WATCHED
            and begun <= each.row.at <= ended
        ]

    def wrong(self, begun: float, ended: float, undisturbed: "Side") -> list[str]:
        """Rows lost, rows taken twice, rows from nowhere, events that differ.

        On a busy machine two rows of a symbol may wait at once: the older is passed over, which
        is counted. Such rows are no loss, and what was decided on them is not compared.
        """
        taken, came = set(self.taken), {(row.symbol, row.event_time) for row in self.tap.rows}
        must = {(row.symbol, row.event_time) for row in self.delivered(begun, ended)}
        times = [event_time for _, event_time in must]
        passed_over = must - taken
        skipped = passed_over | (must - set(undisturbed.taken))
        differ = set(self.told(times)) ^ set(undisturbed.told(times))
        found: dict[str, list[Any]] = {
            "rows lost": sorted(passed_over)[self.program.stream.inbox.conflated :],
            "rows taken twice": sorted({one for one in taken if self.taken.count(one) > 1}),
            "rows from nowhere": sorted(taken - came),
            "events that differ": sorted(one for one in differ if not one.is_near(skipped)),
        }
        return [
            f"{self.name}: {len(which)} {what}: {which[:5]}"
            for what, which in found.items()
            if which
        ]

    def told(self, times: Sequence[int]) -> list[Moment]:
        """The events within the span of event times (ms)."""
        return [each for each in self.events if min(times) <= each.at <= max(times)]


def write(path: Path, rules: Sequence[str]) -> None:
    path.write_text(
        "version: 1\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules), encoding="utf-8"
    )


@contextlib.asynccontextmanager
async def a_side(
    folder: Path,
    venue: Simulator,
    name: str,
    *,
    handover_after: float = 23 * HOUR,
    streams: int = 200,
    rules: Sequence[str] = BASE,
) -> AsyncIterator[Side]:
    """A program that runs; rows flow."""
    path = folder / f"{name.replace(' ', '-').replace(',', '')}.yaml"
    write(path, rules)
    stop = asyncio.Event()
    async with Tap(venue.port).listening() as tap:
        wiring = Wiring(
            store=MemoryStore(),
            channel=Console(io.StringIO()),
            api=None,
            stream=StreamSettings(
                tap.stream_url, handover_after=handover_after, streams_per_connection=streams
            ),
            rest_root=tap.rest_url,
            source=RulesSource(path, named=True),
            desk=Desk((ADMIN,), telegram=False),
        )
        async with build(wiring) as program:
            side = Side(name, program, tap, path)
            side.listen()
            running = asyncio.create_task(program.run(stop))
            try:
                await tap.wait_for(lambda: len(tap.stream_rows()) > len(WATCHED), 20)
                yield side
            finally:
                stop.set()
                await running
