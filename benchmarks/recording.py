"""What a recording costs: CPU of one core and bytes, per second of a market of 900 symbols.

The rows are the simulator's, on the array stream once a second (crypto and TradFi contracts in a
frame each), and each second is written as live: packed, appended, the clock told. The same frames
go through the engine without a journal and with one; the difference is the recording's cost.
`python benchmarks/recording.py`
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bot.alerts.engine import Engine
from bot.app.journal import NO_JOURNAL, Journal
from bot.app.recorder import Recorder, Restored
from bot.market.binance import decode_frame
from bot.market.catalog import Catalog
from bot.market.inbox import Received
from bot.market.recording_file import RecordingFile, Rotation
from bot.rules.parser import parse_condition
from bot.rules.rule import Rule
from bot.rules.selector import read_selection
from bot.simulator.prices import Market
from bot.simulator.universe import build_universe

SYMBOLS = 900
START = 1_790_161_527_000
RULE = Rule("file:hot", "hot", read_selection(["ALL"]), parse_condition("|rate8h| > 0.1%"))
Second = tuple[bytes, bytes]


def market(seconds: int) -> list[Second]:
    """Two frames for each second."""
    prices = Market(build_universe(1, SYMBOLS, START), 1, START)
    listings = prices.universe.listings.values()
    made = []
    for second in range(seconds):
        at = START + second * 1000
        bodies = [
            ",".join(
                prices.row(one.symbol, at + phase).json() for one in listings if one.tradfi is kind
            )
            for kind, phase in ((False, 0), (True, 684))
        ]
        crypto, tradfi = (
            f'{{"stream":"!markPrice@arr@1s","data":[{body}]}}'.encode() for body in bodies
        )
        made.append((crypto, tradfi))
    return made


def run(seconds: Sequence[Second], journal: Journal) -> list[float]:
    """CPU (ms) of each second, that of the writer's thread included."""
    engine = Engine((RULE,), Catalog())
    writer = journal.writer if isinstance(journal, Recorder) else None
    if isinstance(journal, Recorder):
        journal.start(engine, Restored(), "key")
    costs = []
    for number, frames in enumerate(seconds):
        began = time.process_time_ns()
        for body in frames:
            ticks = decode_frame(body).ticks
            frame = Received((START + number * 1000) * 1000, body, ticks)
            journal.rows(ticks, [frame])
            engine.on_frame(ticks)
        now = START + number * 1000 + 900
        journal.advance(now)
        engine.advance(now)
        engine.changes()
        if writer is not None:
            writer.flush()
            while writer.waiting:
                time.sleep(0.002)
        costs.append((time.process_time_ns() - began) / 1e6)
    return costs


async def measure(seconds: int) -> None:
    rows = market(seconds)
    raw = sum(len(body) for frames in rows for body in frames) / seconds / 1000
    base = statistics.median(run(rows, NO_JOURNAL)[2:])
    print(f"{SYMBOLS} symbols, {seconds} s, {raw:.0f} kB/s of frames; medians per second")
    print(f"{'engine alone':14} {base:7.2f} ms")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("m.jsonl", "m.jsonl.gz", "m.jsonl.zst"):
            path = Path(folder) / name
            recorder = Recorder(RecordingFile(path), Rotation())
            cost = statistics.median(run(rows, recorder)[2:])
            await recorder.close()
            size = path.stat().st_size / seconds / 1000
            share = (cost - base) / 10
            day = size * 86_400 / 1e6
            print(
                f"{name.removeprefix('m.'):14} {cost:7.2f} ms   recording {share:5.2f} % of a core"
                f"   {size:6.1f} kB/s, {day:5.1f} GB a day"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    asyncio.run(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
