"""From frame to decision: decoding alone, and decoding plus the engine with N rules.

All variants run on the same frames, interleaved round by round, so that a machine whose speed
drifts slows each of them alike; quote the ratios. `python benchmarks/frame_to_decision.py`
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import msgspec

from bot.alerts.engine import Engine
from bot.market.binance import decode_frame
from bot.market.catalog import Catalog
from bot.rules.parser import parse_condition
from bot.rules.rule import Rule
from bot.rules.selector import read_selection

SYMBOLS = 650  # rows of a frame
START = 1_790_161_527_000
SETTLEMENT = 1_790_179_200_000


def frames(count: int, seed: int = 7) -> list[bytes]:
    """Frames of the array stream, one a second, on a seeded random walk."""
    noise = random.Random(seed)
    marks = [10 ** noise.uniform(-3, 5) for _ in range(SYMBOLS)]
    rates = [noise.gauss(0.0001, 0.0002) for _ in range(SYMBOLS)]
    made = []
    for second in range(count):
        rows = []
        for position in range(SYMBOLS):
            marks[position] *= 1 + noise.gauss(0, 0.0001)
            rates[position] += noise.gauss(0, 0.000002)
            mark, index = marks[position], marks[position] * (1 + noise.gauss(0, 0.0003))
            rows.append(
                {
                    "e": "markPriceUpdate",
                    "E": START + second * 1000,
                    "s": f"S{position:03}USDT",
                    "p": f"{mark:.8f}",
                    "ap": f"{mark:.8f}",
                    "P": f"{mark:.8f}",
                    "i": f"{index:.8f}",
                    "r": f"{rates[position]:.8f}",
                    "T": SETTLEMENT,
                    "st": 1,
                }
            )
        made.append(msgspec.json.encode({"stream": "!markPrice@arr@1s", "data": rows}))
    return made


def rules(count: int, seed: int = 11) -> list[Rule]:
    """Watches of single symbols on rate, basis and mark, spread as people set them."""
    noise = random.Random(seed)
    made = []
    for number in range(count):
        threshold = abs(noise.gauss(0.0008, 0.0004)) + 0.0002
        field = noise.choice(("rate", "|basis|", "rate8h"))
        condition = parse_condition(f"{field} > {threshold * 100:.4f}%")
        selection = read_selection([f"S{noise.randrange(SYMBOLS):03}USDT"])
        made.append(Rule(f"watch:{number}", str(number), selection, condition))
    return made


def with_engine(count: int) -> Callable[[bytes], None]:
    engine = Engine(rules(count), Catalog())

    def run(frame: bytes) -> None:
        engine.on_frame(decode_frame(frame).ticks)
        engine.advance(engine.clock)
        engine.changes()

    return run


def decode_alone(frame: bytes) -> None:
    decode_frame(frame)


def measure(variants: dict[str, Callable[[bytes], None]], recorded: list[bytes]) -> None:
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for frame in recorded:
        for name, run in variants.items():
            began = time.process_time_ns()
            run(frame)
            costs[name].append((time.process_time_ns() - began) / SYMBOLS / 1000)
    base = statistics.median(costs["decode alone"][2:])
    print(f"{len(recorded)} frames of {SYMBOLS} rows; CPU per update in µs (median, min-max)")
    for name, values in costs.items():
        kept = values[2:]  # the first frames fill the caches and tell what was already true
        middle = statistics.median(kept)
        spread = f"{min(kept):.2f}-{max(kept):.2f}"
        print(f"{name:32} {middle:9.2f}  ({spread})  {middle / base:7.1f} x decode")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=22)
    parser.add_argument("--rules", type=int, nargs="*", default=[1, 1_000, 100_000])
    arguments = parser.parse_args()
    variants: dict[str, Callable[[bytes], None]] = {"decode alone": decode_alone}
    for count in arguments.rules:
        variants[f"decode + engine, {count:,} rules"] = with_engine(count)
    measure(variants, frames(arguments.frames))


if __name__ == "__main__":
    main()
