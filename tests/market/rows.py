"""Rows as the venue sends them, for tables."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bot.market.tick import Tick

HOUR = 3_600_000
E0 = 1_790_161_527_002
T0 = 1_790_179_200_000


def row(**changes: Any) -> dict[str, Any]:
    """A row of 2026; a value of ... leaves its key out."""
    whole = {
        "e": "markPriceUpdate",
        "E": E0,
        "s": "BTCUSDT",
        "p": "85840.40234633",
        "ap": "85840.40234633",
        "P": "85863.42568007",
        "i": "85882.44043478",
        "r": "0.00005016",
        "T": T0,
        "st": 1,
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not ...}


def frame(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def wrapped(body: Any, stream: str = "!markPrice@arr@1s") -> bytes:
    return frame({"stream": stream, "data": body})


def tick(symbol: str = "BTCUSDT", event_time: int = E0, **changes: Any) -> Tick:
    return Tick(symbol=symbol, event_time=event_time, event="markPriceUpdate", **changes)


def recorded(name: str) -> Path:
    """A file of recorded data; skips the test where it is absent."""
    root = Path(__file__).parents[2]
    folder = root / os.environ.get("FUNDINGBOT_DATA", "../shared/data")
    path = folder / name
    if not path.exists():
        pytest.skip(f"recorded data is absent: {path} (FUNDINGBOT_DATA names its folder)")
    return path
