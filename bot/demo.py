"""The demo and the simulator: the whole program on a simulated market, with nothing to set up."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console as Screen
from rich.live import Live as LiveScreen
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.alerts.engine import Engine
from bot.app.desk import Desk
from bot.app.rules_source import RulesSource, Start
from bot.app.run import Program, build
from bot.app.wiring import Wiring
from bot.locale import formats
from bot.market.reading import Reading
from bot.market.stream import StreamSettings
from bot.notify.channel import Outcome, Sent, Written
from bot.notify.markup import plain_text
from bot.rules.rules_file import read_rules_file
from bot.simulator.server import Simulator, SimulatorSettings
from bot.store.memory import MemoryStore

SETTLEMENT_IN = 45.0  # s after the start: within the minute that a visitor stays
ROWS = 8  # of the market table
RULES = """\
version: 1
rules:
  - name: extreme funding
    symbols: [perp]
    when: "|rate8h| > 0.08%"
    clear: 0.05%
    severity: warning
  - name: rich basis
    symbols: ["*USDT"]
    when: "|basis| > 0.5%"
    clear: 0.4%
  - name: before settlement
    symbols: BTCUSDT
    when: funding < 30s and |rate| > 0.05%
    note: a payment is seconds away
"""


async def run_simulator(stop: asyncio.Event, settings: SimulatorSettings) -> None:
    """Serves the simulated market until it is stopped."""
    async with Simulator(settings) as simulator:
        say(f"BINANCE_STREAM_URL={simulator.stream_url}")
        say(f"BINANCE_REST_URL={simulator.rest_url}")
        await stop.wait()


async def run_demo(stop: asyncio.Event, *, seconds: float | None, seed: int) -> None:
    """Runs the program on a simulated market; ends by itself after `seconds`, with a summary."""
    say("A simulated market on this machine: no network, no token, nothing is stored.")
    say("Three rules watch it: extreme funding, rich basis, a payment coming up.\n")
    async with Simulator(SimulatorSettings(seed=seed, settlement_in=SETTLEMENT_IN)) as simulator:
        board = Board()
        async with build(_wiring(simulator, board)) as program:
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, stop.set)
            drawing = asyncio.create_task(board.draw(program))
            try:
                await program.run(stop)
            finally:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)
            say(board.summary(program))


def say(line: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _wiring(simulator: Simulator, board: "Board") -> Wiring:
    return Wiring(
        store=MemoryStore(),
        channel=board,
        api=None,
        stream=StreamSettings(simulator.stream_url),
        rest_root=simulator.rest_url,
        source=DemoRules(),
        desk=Desk(telegram=False),
        # The market's time is shifted, so that a payment comes up soon: nobody's clock is wrong.
        wall=lambda: simulator.now() / 1000,
    )


class DemoRules(RulesSource):
    """The demo's rules, which no file holds and nobody edits."""

    def __init__(self) -> None:
        super().__init__(Path("demo"), named=False)

    def start(self, facts: Mapping[str, str]) -> Start:
        del facts
        return Start(read_rules_file(RULES.encode()))

    def changed(self) -> None:
        return None


class Board:
    """The terminal of the demo: the market as a live table above the messages as they come."""

    def __init__(self) -> None:
        self.screen = Screen()
        self._told = Counter[str]()
        self._began = time.monotonic()
        self._first: float | None = None
        self._next_id = 1

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        """Prints a message as Telegram would show it."""
        del chat_id, topic
        text = plain_text(written.text)
        self._first = self._first or time.monotonic()
        self._told["message"] += 1
        self.screen.print(Panel(Text(text), expand=False, border_style=_colour(text)))
        self._next_id += 1
        return Sent(self._next_id - 1)

    async def draw(self, program: Program) -> None:
        """Redraws the market each second; on a terminal alone, a file gets the messages."""
        if not self.screen.is_terminal:
            return
        with LiveScreen(console=self.screen, auto_refresh=False, transient=True) as live:
            while True:
                live.update(market_table(program.world.readings(), program.engine), refresh=True)
                await asyncio.sleep(1)

    def summary(self, program: Program) -> str:
        """What the demo showed, in a few lines."""
        rows = program.stream.status().rows
        symbols = len(program.engine.symbols)
        seconds = time.monotonic() - self._began
        first = "no alert" if self._first is None else f"{self._first - self._began:.1f} s"
        return (
            f"\n{seconds:.0f} s: {rows:,} mark price updates of {symbols} symbols, "
            f"{self._told['message']} messages; the first alert came after {first}.\n"
            "Next: put TELEGRAM_TOKEN=… into .env and type `make run`; README.md shows how."
        )


def market_table(readings: Sequence[Reading], engine: Engine) -> Table:
    """The symbols with the most extreme funding, and how many alerts are on."""
    on = sum(1 for _ in engine.on())
    table = Table(title=f"{len(readings)} symbols, {on} alerts on", title_justify="left")
    for heading in ("symbol", "rate per 8 h", "APR", "basis", "mark", "funding in"):
        table.add_column(heading, justify="left" if heading == "symbol" else "right")
    known = [(rate.approx, r) for r in readings if (rate := r.value("rate8h")) is not None]
    for per_8h, reading in sorted(known, key=lambda pair: -abs(pair[0]))[:ROWS]:
        apr, basis = reading.value("apr"), reading.value("basis")
        left = reading.value("funding")
        table.add_row(
            reading.tick.symbol,
            formats.percent(per_8h),
            formats.annual(apr.approx) if apr else "?",
            formats.percent(basis.approx) if basis else "?",
            formats.price(reading.tick.mark),
            formats.duration(left.approx) if left else "?",
        )
    return table


def _colour(text: str) -> str:
    return "green" if text.startswith("✅") else "yellow"
