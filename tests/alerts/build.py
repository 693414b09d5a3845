"""Small builders for rules, ticks and readings."""

from typing import Any

from bot.market.reading import Reading
from bot.market.tick import Tick
from bot.rules.parser import parse_condition
from bot.rules.rule import Options, Rule
from bot.rules.selector import read_selection

T = 1_700_006_400_000  # a settlement on the hour, ms
START = T - 7_200_000


def rule(when: str, *, name: str = "r", symbols: str = "BTCUSDT", **options: Any) -> Rule:
    """A rule from its condition; `clear` may be a text."""
    if isinstance(options.get("clear"), str):
        options["clear"] = parse_condition(options["clear"])
    selection = read_selection(symbols.split(","))
    return Rule(f"file:{name}", name, selection, parse_condition(when), Options(**options))


def tick(at: int = 0, rate: str = "0.0001", symbol: str = "BTCUSDT", **fields: Any) -> Tick:
    """A tick `at` seconds after START."""
    values: dict[str, Any] = {
        "mark": "100",
        "index": "100",
        "next_funding_time": T,
        "event": "markPriceUpdate",
    }
    values.update(fields)
    return Tick(symbol=symbol, event_time=START + at * 1000, rate=rate, **values)


def reading(at: int = 0, rate: str = "0.0001", **keywords: Any) -> Reading:
    """What such a tick shows; `by_tick` and `stale` are the reading's own."""
    row = tick(at, rate)
    return Reading(row, row.event_time, **keywords)
