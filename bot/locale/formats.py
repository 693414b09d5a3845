"""The one way to write each quantity that a message shows.

None of it depends on the language: `2h 17m`, `+0.0612 %` and `16:00 UTC` read alike in all.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))  # seconds


def percent(fraction: float) -> str:
    """`+0.0612 %` of 0.000612: signed, four decimals, more where only they tell it from zero."""
    value = fraction * 100
    if value == 0:
        return "0.0000 %"
    decimals = 4
    while decimals < 10 and abs(value) < 10 ** (1 - decimals):
        decimals += 1
    return f"{value:+.{decimals}f} %"


def annual(fraction: float) -> str:
    """`67.0 %` of 0.67: a yearly rate, one decimal, a sign only where negative."""
    return f"{fraction * 100:.1f} %"


def price(number: str | float) -> str:
    """`28,156.4141` of "28156.41410000"; "" where the venue sent no number.

    Every digit sent is kept but trailing zeros; a price above 1 keeps two decimals if any.
    """
    try:
        value = Decimal(str(number))
    except InvalidOperation:
        return ""
    if not value.is_finite():
        return ""
    whole, _, decimals = f"{value:,f}".partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) == 1 and abs(value) >= 1:
        decimals += "0"
    return f"{whole}.{decimals}" if decimals else whole


def duration(milliseconds: float) -> str:
    """`2h 17m`, `45s`, `3d 4h`: the two largest units, rounded down."""
    seconds = int(abs(milliseconds) // 1000)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0s"


def countdown(milliseconds: float) -> str:
    """`2h 17m` and `2h 0m`: a duration to watch, its minutes always there beside hours."""
    left = max(milliseconds, 0)
    text = duration(left)
    return f"{text} 0m" if text.endswith("h") and "d" not in text else text


def hours(milliseconds: int) -> str:
    """`8 h`: a funding interval."""
    return f"{milliseconds / 3_600_000:g} h"


def clock(time: int, zone: str) -> str:
    """`16:00 UTC`: a moment (epoch ms) of the coming day in a zone; an unknown zone is UTC."""
    return _local(time, zone).strftime("%H:%M %Z")


def moment(time: int, zone: str) -> str:
    """`2026-11-22 16:00 UTC`: any moment (epoch ms) in a zone."""
    return _local(time, zone).strftime("%Y-%m-%d %H:%M %Z")


def _local(time: int, zone: str) -> datetime:
    return datetime.fromtimestamp(time / 1000, _zone(zone))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone, or no name of one
        return ZoneInfo("UTC")
