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
WARM = 2  # frames that fill the caches and tell what was already true


def frames(count: int, seed: int = 7) -> list[bytes]:
    """Frames of the array stream, one a second, on a seeded random walk."""
    noise = random.Random(seed)
    marks = [10 ** noise.uniform(-3, 5) for _ in range(SYMBOLS)]
    rates = [noise.gauss(0.0001, 0.0002) for _ in range(SYMBOLS)]
    bases = [noise.gauss(0, 0.0003) for _ in range(SYMBOLS)]
    made = []
    for second in range(count):
        rows = []
        for position in range(SYMBOLS):
            marks[position] *= 1 + noise.gauss(0, 0.0001)
            rates[position] += noise.gauss(0, 0.000002)
            bases[position] += noise.gauss(0, 0.000005)
            mark = marks[position]
            index = mark / (1 + bases[position])
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


def with_engine(count: int) -> Callable[[bytes], int]:
    engine = Engine(rules(count), Catalog())

    def run(frame: bytes) -> int:
        events = engine.on_frame(decode_frame(frame).ticks) + engine.advance(engine.clock)
        engine.changes()
        return len(events)

    return run


def decode_alone(frame: bytes) -> int:
    decode_frame(frame)
    return 0


def measure(variants: dict[str, Callable[[bytes], int]], recorded: list[bytes]) -> None:
    costs: dict[str, list[float]] = {name: [] for name in variants}
    told = dict.fromkeys(variants, 0)
    for frame in recorded:
        for name, run in variants.items():
            began = time.process_time_ns()
            count = run(frame)
            costs[name].append((time.process_time_ns() - began) / SYMBOLS / 1000)
            if frame not in recorded[:WARM]:
                told[name] += count
    base = statistics.median(costs["decode alone"][WARM:])
    print(f"{len(recorded)} frames of {SYMBOLS} rows; CPU per update in µs (median, min-max)")
    for name, values in costs.items():
        kept = values[WARM:]
        middle = statistics.median(kept)
        spread = f"{min(kept):.2f}-{max(kept):.2f}"
        print(
            f"{name:32} {middle:9.2f}  ({spread})  {middle / base:7.1f} x decode  "
            f"{told[name] / len(kept):6.1f} events a frame"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=22)
    parser.add_argument("--rules", type=int, nargs="*", default=[1, 1_000, 100_000])
    arguments = parser.parse_args()
    variants: dict[str, Callable[[bytes], int]] = {"decode alone": decode_alone}
    for count in arguments.rules:
        variants[f"decode + engine, {count:,} rules"] = with_engine(count)
    measure(variants, frames(arguments.frames))


if __name__ == "__main__":
    main()
