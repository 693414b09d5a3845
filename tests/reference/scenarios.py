"""Seeded captures and rule files in which everything happens often.

Values move between few levels and thresholds are taken from the same levels, so that equality,
crossing, clearing and holding are common within a few hundred lines.
"""

import datetime as dt
import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

from tests.reference.language import HOUR, MINUTE

BASE = 1_791_360_000_000  # 2026-10-07T08:00:00Z, a settlement of every interval

RATES = (
    *("0.00050000", "0.00049999", "0.00050001", "0.00030000", "0.00010000", "0.00000000"),
    *("-0.00050000", "-0.00030000", "0.0005", "5e-4", "0.00100000"),
)
INDEXES = ("100.00000000", "100.00000000", "100.00000000", "200.00000000", "99.50000000")
MARKS = ("100.50000000", "100.00000000", "99.50000000", "100.40000000", "101", "100.50000001")
SETTLES = ("100.00000000", "100.50000000", "99.00000000")

QUANTITIES = {
    "rate": ("0.05%", "0.03%", "0.01%", "5bp", "-0.05%", "0.0005", "0", "5e-4", "-3 bps"),
    "rate8h": ("0.05%", "0.1 %", "0.4%", "10bps", "0.03%", "-0.24%", "0"),
    "apr": ("54.75%", "109.5%", "438%", "10.95%", "-54.75%", "0"),
    "basis": ("0.5%", "0.4%", "0", "-0.5%", "-0.005", "1%"),
    "cap": ("50%", "30%", "100%", "10%", "0"),
    "mark": ("100", "100.5", "0.1k", "100.4", "99.5"),
    "index": ("100", "0.1k", "99.5", "150"),
    "settle": ("100", "100.5", "99"),
    "funding": ("30s", "1m", "2m30s", "5m", "10m", "1h", "0s"),
    "interval": ("8h", "4h", "1h"),
}
CHANGES = {
    "rate": ("0", "0.02%", "-0.02%", "0.04%"),
    "rate8h": ("0", "0.02%", "-0.2%"),
    "apr": ("0", "21.9%", "-21.9%"),
    "basis": ("0", "0.5%", "-0.1%"),
    "cap": ("0", "20%", "-20%"),
    "mark": ("0", "0.5%", "-0.5%", "-0.1%"),
    "index": ("0", "-0.5%", "0.5%"),
    "settle": ("0", "0.5%"),
    "funding": ("-1m", "-5m", "0s", "1h"),
    "interval": ("0s", "-4h", "3h"),
}
FIELD_WEIGHTS = {
    "rate": 6, "rate8h": 3, "apr": 3, "basis": 4, "mark": 3, "index": 1, "settle": 2,
    "funding": 6, "interval": 1, "cap": 2,
}  # fmt: skip
CHANGE_RATIOS = ("rate", "rate8h", "apr", "basis", "cap", "mark", "index", "settle")
PLAIN = tuple(FIELD_WEIGHTS)
WINDOWS = ("1m", "1m", "90s", "2m", "3m", "5m", "10m", "11m", "15m", "30m", "4h", "24h")
STEPS = {"fast": 2000, "slow": MINUTE, "history": HOUR}  # about, ms
ORDINARY = (">", ">=", "<", "<=", "≥", "≤")
CROSSES = ("crosses above", "crosses below", "crosses")
HOLDS = ("0s", "1s", "3s", "5s", "10s", "20s", "30s", "1m", "2m")


@dataclass
class Feed:
    """One symbol as the venue would send it."""

    name: str
    interval: int  # hours; 0: no funding at all
    settlement: int
    coin_margined: bool = False
    phase: int = 0  # ms off the second
    jitter: tuple[int, ...] = (0, 0, 0, 1, 5, 12)  # ms
    late: int = 0  # ms that E exceeds T before T rolls (below 0: T rolls early)
    lag: int = 0  # ms behind the others
    silent: int = 0  # steps without a row
    sent: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    lines: list[bytes]
    rules: str
    catalog: dict[str, Any] | None
    start: int


def scenario(seed: int, least: int = 120, most: int = 420) -> Scenario:
    """The capture (of so many steps), rule file and catalog of a seed, always the same."""
    chance = random.Random(seed)
    spacing = chance.choice(("fast", "fast", "fast", "fast", "slow", "slow", "history"))
    steps = chance.randint(least, most)
    start = BASE - int(steps * STEPS[spacing] * chance.uniform(-0.1, 1.1))
    if spacing == "fast" and chance.random() < 0.2:
        start -= HOUR  # where the settle price becomes known
    exact = chance.random() < 0.4  # every time on the second
    if exact:
        start -= start % 1000
    feeds = feeds_of(chance, start)
    for feed in feeds:
        feed.late = chance.choice((0, 0, 1, 1000, 2000, 5000, -1000, -2000))
        if exact:
            feed.phase, feed.jitter = 0, (0,)
    lines = capture(chance, feeds, start, steps, spacing)
    return Scenario(lines, rule_file(chance, start), catalog_of(chance, feeds), start)


def recorded(seed: int, lines: list[bytes]) -> Scenario:
    """Random rules on the recorded capture, thresholds taken from its own values."""
    chance = random.Random(seed)
    rows = [json.loads(line.split(b" ", 1)[1])["data"] for line in chance.sample(lines, 40)]
    marks = tuple(sorted({row["p"] for row in rows}))
    rates = tuple(sorted({row["r"] for row in rows}))
    plain = {
        "rate": rates,
        "rate8h": rates,
        "apr": tuple(f"{float(rate) * 109500:.4f}%" for rate in rates),
        "basis": tuple(f"{(float(row['p']) / float(row['i']) - 1) * 100:.6f}%" for row in rows),
        "mark": marks,
        "index": tuple(sorted({row["i"] for row in rows})),
        "settle": tuple(sorted({row["P"] for row in rows})),
        "funding": ("30s", "1m", "1m39s", "7h59m", "7h55m", "0s"),
        "interval": ("8h",),
        "cap": ("1%", "2%"),
    }
    changes = CHANGES | dict.fromkeys(CHANGE_RATIOS, ("0", "0.0001%", "-0.0002%", "0.01%"))
    start = json.loads(lines[0].split(b" ", 1)[1])["data"]["E"]
    catalog = chance.choice((None, {"fundingInfo": [RECORDED_FUNDING]}))
    return Scenario(lines, rule_file(chance, start, (plain, changes)), catalog, start)


RECORDED_FUNDING = {
    "symbol": "BTCUSDT",
    "adjustedFundingRateCap": "0.00300",
    "adjustedFundingRateFloor": "-0.00300",
    "fundingIntervalHours": 8,
}


def feeds_of(chance: random.Random, start: int) -> list[Feed]:
    names = ["BTCUSDT", "ETHUSDT", "币安人生USDT", "SOLUSDC", "XAUUSDT", "OLDUSDT", "DOGEUSDT"]
    feeds = []
    for name in chance.sample(names, chance.randint(1, 4)):
        interval = chance.choice((8, 8, 4, 1))
        span = interval * HOUR
        settlement = start - start % span + span
        feeds.append(Feed(name, interval, settlement, phase=chance.choice((0, 0, 684))))
    if chance.random() < 0.5:
        feeds.append(Feed("BTCUSDT_261225", 0, 0))
    if chance.random() < 0.3:
        feeds.append(Feed("BTCUSD_PERP", 8, BASE + 8 * HOUR, coin_margined=True))
    return feeds


def capture(
    chance: random.Random, feeds: list[Feed], start: int, steps: int, spacing: str
) -> list[bytes]:
    form = chance.choice(("arrays", "objects", "mixed"))
    wrapped = chance.choice((0.0, 1.0, 0.5))
    stamped = chance.choice((0.0, 1.0, 0.5))
    delist = chance.randint(0, steps) if chance.random() < 0.3 else -1
    now, lines = start, []
    for number in range(steps):
        if spacing == "fast":
            now += chance.choice((1000, 1000, 2000, 3000))
            if chance.random() < 0.02:
                now += chance.randint(10, 120) * 1000
        elif spacing == "slow":
            now += chance.choice((20_000, 29_000, MINUTE, MINUTE, 5 * MINUTE))
        else:
            now += chance.choice((1, 1, 2, 4, 8)) * HOUR
        if number == delist:
            feeds[0].interval = 0
        if number == delist + 40 and delist >= 0 and chance.random() < 0.5:
            feeds[0].interval = 8
            feeds[0].settlement = now - now % HOUR + HOUR
        rows = [sent for feed in feeds for sent in rows_of(chance, feed, now, spacing)]
        whole = form == "arrays" or (form == "mixed" and chance.random() < 0.5)
        frames: list[Any] = [rows] if whole else rows
        lines += [line_of(chance, frame, now, wrapped, stamped) for frame in frames if frame]
        if chance.random() < 0.03:
            lines.append(chance.choice(FOREIGN))
    return lines


FOREIGN = (
    b'{"result":null,"id":1}',
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1791360000001,"s":"BTCUSDT"}}',
    b'1791360000000000 {"e":"24hrTicker","E":1791360000001,"s":"BTCUSDT","p":"1","r":"9"}',
    b'{"e":"markPriceUpdate","E":17913600',
    b"not json at all",
    b"",
    b'{"e":"markPriceUpdate","E":"1791360000000","s":"BTCUSDT","r":"0.01","T":1791388800000}',
    b'{"e":"markPriceUpdate","E":1791360000000.5,"s":"BTCUSDT","r":"0.01","T":1791388800000}',
    b'{"e":"markPriceUpdate","E":1791999999999,"r":"0.01","T":1791388800000}',
    b'[{"e":"markPriceUpdate","s":"BTCUSDT","r":"0.01"},null,7,{"e":"forceOrder","E":1}]',
    b"[]",
)


def rows_of(chance: random.Random, feed: Feed, now: int, spacing: str) -> list[dict[str, Any]]:
    """No row, one, or (now and then) one with a doubled or older E besides."""
    if feed.silent:
        feed.silent -= 1
        return []
    if chance.random() < 0.01:
        feed.silent = chance.randint(2, 30)
    if chance.random() < 0.02:
        feed.lag = chance.choice((0, 0, 20_000, 29_000, 30_000, 31_000, 45_000, 60_000))
    event_time = now - feed.lag + feed.phase + chance.choice(feed.jitter)
    move_settlement(chance, feed, event_time)
    row = row_of(chance, feed, event_time)
    again = []
    if chance.random() < 0.02:
        again = [dict(row, E=event_time - chance.choice((0, 0, 1000)), r="0.01")]
    return [row, *again] if spacing == "fast" or chance.random() < 0.95 else []


def move_settlement(chance: random.Random, feed: Feed, event_time: int) -> None:
    if feed.interval == 0:
        return
    if event_time >= feed.settlement + feed.late:
        if chance.random() < 0.3:
            feed.interval = chance.choice((1, 4, 8, 12))
        feed.settlement += feed.interval * HOUR
        while feed.settlement <= event_time:
            feed.settlement += HOUR
    elif chance.random() < 0.004:  # T moves without a settlement
        feed.settlement += chance.choice((-3, -1, 1, 3)) * HOUR
        while feed.settlement <= event_time:
            feed.settlement += HOUR


def row_of(chance: random.Random, feed: Feed, event_time: int) -> dict[str, Any]:
    sent = feed.sent
    for key, levels in (("p", MARKS), ("i", INDEXES), ("r", RATES), ("P", SETTLES)):
        if key not in sent or chance.random() < (0.15 if key in "pr" else 0.05):
            sent[key] = chance.choice(levels)
    row = {"e": "markPriceUpdate", "E": event_time, "s": feed.name, **sent}
    row["T"] = feed.settlement if feed.interval else 0
    if chance.random() < 0.5:
        row["st"] = 1
        row["ap"] = row["p"]
    if feed.coin_margined:
        row["st"] = 2
    if feed.interval == 0:
        row["r"] = chance.choice(("", "0.00000000"))
    if chance.random() < 0.05:
        spoil(chance, row)
    return row


def spoil(chance: random.Random, row: dict[str, Any]) -> None:
    key = chance.choice("pirPT")
    how = chance.choice(("missing", "empty", "zero", "number", "words", "null", "negative"))
    if how == "missing":
        del row[key]
    elif how == "number":
        row[key] = 0.0005 if key == "r" else 100.5
    else:
        bad = {"empty": "", "zero": "0", "words": " 1", "null": None, "negative": "-1.5e-3"}
        row[key] = bad[how]


def line_of(
    chance: random.Random, frame: object, now: int, wrapped: float, stamped: float
) -> bytes:
    if chance.random() < wrapped:
        frame = {"stream": "!markPrice@arr@1s", "data": frame}
    text = json.dumps(frame, ensure_ascii=chance.random() < 0.5, separators=(",", ":"))
    if chance.random() < stamped:
        text = f"{now * 1000 + 84720} {text}"
    return text.encode()


def catalog_of(chance: random.Random, feeds: list[Feed]) -> dict[str, Any] | None:
    kind = chance.choice(("none", "none", "funding", "funding", "both"))
    if kind == "none":
        return None
    names = [feed.name for feed in feeds if not feed.coin_margined]
    funding = [
        {
            "symbol": name,
            "adjustedFundingRateCap": chance.choice(("0.00100", "0.003", "0")),
            "adjustedFundingRateFloor": chance.choice(("-0.00100", "-0.003", "0")),
            "fundingIntervalHours": chance.choice((8, 4, 1)),
            "updateTime": None,
        }
        for name in names
        if chance.random() < 0.7
    ]
    if kind == "funding":
        return {"fundingInfo": funding}
    symbols = [
        {
            "symbol": name,
            "contractType": contract_type(name),
            "status": "TRADING" if name != "OLDUSDT" else "SETTLING",
            "deliveryDate": 4133404800000,
        }
        for name in names
    ]
    return {"fundingInfo": funding, "exchangeInfo": {"symbols": symbols}}


def contract_type(name: str) -> str:
    if "_" in name:
        return "CURRENT_QUARTER"
    return "TRADIFI_PERPETUAL" if name == "XAUUSDT" else "PERPETUAL"


def rule_file(chance: random.Random, start: int, quantities: Any = None) -> str:
    """A random valid rule file; JSON is YAML, and keeps every quoting question out."""
    quantities = quantities or (QUANTITIES, CHANGES)
    groups = {"majors": ["BTCUSDT", "ETHUSDT"], "others": ["*USDC", "@majors", "!ETHUSDT"]}
    rules = [
        {"name": f"r{number}", **rule(chance, start, quantities)}
        for number in range(chance.randint(4, 9))
    ]
    defaults: dict[str, Any] = {}
    if chance.random() < 0.4:
        for key in ("cooldown", "repeat", "for", "keep"):
            if chance.random() < 0.4:
                defaults[key] = chance.choice(HOLDS)
        if chance.random() < 0.2:
            defaults["resolved"] = chance.choice(("on", "off"))
        if chance.random() < 0.1:
            defaults["until"] = until(chance, start)
        if chance.random() < 0.1:
            defaults["clear"] = joined(chance, quantities, 1)
    document: dict[str, Any] = {"version": 1, "groups": groups}
    if defaults:
        document["defaults"] = defaults
    return json.dumps({**document, "rules": rules}, ensure_ascii=False, indent=1)


def rule(chance: random.Random, start: int, quantities: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"symbols": symbols(chance)}
    crossing = chance.random() < 0.25
    made["when"] = crossing_condition(chance, quantities) if crossing else ""
    if not crossing:
        made |= condition_and_clear(chance, quantities)
        for key in ("for", "keep"):
            if chance.random() < 0.35:
                made[key] = chance.choice(HOLDS)
    for key in ("cooldown", "repeat"):
        if chance.random() < 0.45:
            made[key] = chance.choice(HOLDS)
    if chance.random() < 0.08:
        made["once"] = True
    if chance.random() < 0.08:
        made["until"] = until(chance, start)
    if chance.random() < 0.15:
        made["resolved"] = chance.choice(("on", "off"))
    if chance.random() < 0.1:
        made |= {"note": "a note", "severity": "warning", "quiet": True}
    return made


def until(chance: random.Random, start: int) -> str:
    if chance.random() < 0.5:
        return chance.choice(("45s", "3m", "5m30s", "1h"))
    after = chance.randint(20, 900)
    moment = dt.datetime.fromtimestamp(start // 1000 + after, dt.UTC)
    return chance.choice((moment.isoformat(), moment.strftime("%Y-%m-%dT%H:%M:%S")))


def symbols(chance: random.Random) -> Any:
    one = ("ALL", "perp", "*", "*USDT", "BTCUSDT", "BTC", "@majors", "@others", "quarterly")
    if chance.random() < 0.5:
        return chance.choice(("ALL", "*", "*", "perp", *one))
    chosen = [chance.choice((*one, "币安人生USDT", "tradfi")) for _ in range(chance.randint(1, 3))]
    if chance.random() < 0.4:
        not_wanted = ("!*USDC", "!BTCUSDT", "!quarterly", "!@majors", "!perp", "!ETH")
        chosen.insert(chance.randint(0, len(chosen)), chance.choice(not_wanted))
    return chosen


def condition_and_clear(chance: random.Random, quantities: Any) -> dict[str, str]:
    if chance.random() < 0.4:
        return {"when": joined(chance, quantities, 2), **clear_condition(chance, quantities)}
    value, pool, operator = comparison(chance, quantities)
    quantity = chance.choice(pool)
    made = {"when": written(chance, value, operator, quantity)}
    if chance.random() < 0.5:
        less = operator in (">", ">=", "≥")
        edge = size(quantity)
        softer = [one for one in pool if size(one) == edge or (size(one) < edge) == less]
        made["clear"] = chance.choice(softer)
        return made
    return {**made, **clear_condition(chance, quantities)}


def clear_condition(chance: random.Random, quantities: Any) -> dict[str, str]:
    return {"clear": joined(chance, quantities, 1)} if chance.random() < 0.15 else {}


def size(quantity: str) -> float:
    """A quantity of a pool as a float in its pool's own order."""
    units = {"%": 0.01, "bp": 1e-4, "bps": 1e-4, "k": 1e3, "": 1, "s": 1, "m": 60, "h": 3600}
    found = re.findall(r"([\d.]+(?:e-?\d+)?)\s*(%|bps?|[ksmh]|)", quantity)
    total = sum(float(number) * units[unit] for number, unit in found)
    return round(-total if quantity.startswith("-") else total, 12)


def comparison(chance: random.Random, quantities: Any) -> tuple[str, tuple[str, ...], str]:
    plain, changes = quantities
    name = chance.choices(list(FIELD_WEIGHTS), list(FIELD_WEIGHTS.values()))[0]
    operator = chance.choice(ORDINARY)
    kind = chance.random()
    if kind < 0.6:
        return name, plain[name], operator
    if kind < 0.72:
        return chance.choice((f"|{name}|", f"abs({name})", f"| {name} |")), plain[name], operator
    window = chance.choice(WINDOWS)
    function = chance.choice(("change", "min", "max", "avg"))
    pool = changes[name] if function == "change" else plain[name]
    return f"{function}({name},{chance.choice(('', ' '))}{window})", pool, operator


def written(chance: random.Random, value: str, operator: str, quantity: str) -> str:
    blank = chance.choice((" ", " ", "")) if operator in ORDINARY else " "
    text = f"{value}{blank}{operator}{blank}{quantity}"
    # Keywords are taken in any case; units are left alone.
    return text.replace(value, value.upper()) if value in PLAIN and chance.random() < 0.05 else text


def joined(chance: random.Random, quantities: Any, depth: int) -> str:
    if depth == 0 or chance.random() < 0.25:
        value, pool, operator = comparison(chance, quantities)
        text = written(chance, value, operator, chance.choice(pool))
        return f"not {text}" if chance.random() < 0.1 else text
    parts = [joined(chance, quantities, depth - 1) for _ in range(chance.choice((2, 2, 3)))]
    text = chance.choice((" and ", " or ", " AND ")).join(f"({part})" for part in parts)
    return f"not ({text})" if chance.random() < 0.1 else text


def crossing_condition(chance: random.Random, quantities: Any) -> str:
    def crossing() -> str:
        value, pool, _ = comparison(chance, quantities)
        return written(chance, value, chance.choice(CROSSES), chance.choice(pool))

    form = chance.random()
    if form < 0.6:
        return crossing()
    if form < 0.85:
        return f"{crossing()} and ({joined(chance, quantities, 1)})"
    return f"{crossing()} {chance.choice(('and', 'or'))} {crossing()}"
