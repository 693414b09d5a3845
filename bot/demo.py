"""The demo and the simulator: the whole program on a simulated market, with nothing to set up."""

import asyncio
import sys
from collections import deque
from pathlib import Path

from rich.console import Console as Screen
from rich.console import Group, RenderableType
from rich.live import Live as LiveScreen
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.alerts.engine import Engine
from bot.app.run import Program, Wiring, build
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
KEPT = 4  # messages on the screen
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
        print(f"BINANCE_STREAM_URL={simulator.stream_url}")
        print(f"BINANCE_REST_URL={simulator.rest_url}", flush=True)
        await stop.wait()
