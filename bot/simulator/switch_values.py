"""What the values of fault switches look like, and what they mean."""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass

Symbols = Container[str]  # those of the simulated market, unlisted ones included


@dataclass(frozen=True, slots=True)
class Value:
    """A kind of value: its sign in a synopsis, how it is described, and which texts are one."""

    sign: str
    words: str
    fits: Callable[[str, Symbols], bool]


def symbols_of(text: str) -> list[str]:
    """The symbols of `SYMBOL[,SYMBOL…]`."""
    return [each for each in text.split(",") if each]


def pairs_of(text: str) -> dict[str, str]:
    """The texts by symbol of `SYMBOL:TEXT[,…]`."""
    pairs = (each.rpartition(":") for each in symbols_of(text))
    return {symbol: value for symbol, _, value in pairs}


def _whole(least: int, most: int) -> Callable[[str, Symbols], bool]:
    def fits(text: str, _: Symbols) -> bool:
        return re.fullmatch(r"-?[0-9]{1,12}", text) is not None and least <= int(text) <= most

    return fits


def _close_code(text: str, symbols: Symbols) -> bool:
    """RFC 6455 §7.4: the codes that may stand in a close frame; 1005, 1006 and 1015 may not."""
    return _whole(1000, 4999)(text, symbols) and (
        int(text) in {1000, 1001, 1002, 1003, *range(1007, 1015)} or int(text) >= 3000
    )


def _seconds(text: str, _: Symbols) -> bool:
    return re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) is not None and float(text) > 0


def _symbols(text: str, symbols: Symbols) -> bool:
    return all(each in symbols for each in text.split(","))


def _pairs(pattern: str) -> Callable[[str, Symbols], bool]:
    def fits(text: str, symbols: Symbols) -> bool:
        pairs = [each.rpartition(":") for each in text.split(",")]
        return all(name in symbols and re.fullmatch(pattern, value) for name, _, value in pairs)

    return fits


NOTHING = Value("", "no value", lambda text, _: not text)
STATUS = Value("STATUS", "an HTTP status from 400 to 599", _whole(400, 599))
CODE = Value("CODE", "a close code (1000 to 1003, 1007 to 1014, 3000 to 4999)", _close_code)
WAIT = Value("SECONDS", "a whole number of seconds", _whole(0, 259_200))
SKEW = Value("MS", "a whole number of milliseconds", _whole(-(10**12), 10**12))
SECONDS = Value("SECONDS", "a number of seconds above 0", _seconds)
SYMBOLS = Value("SYMBOLS", "SYMBOL[,SYMBOL…] of the simulated market", _symbols)
INTERVALS = Value("SYMBOL:HOURS", "SYMBOL:HOURS[,…] with 1, 2, 4 or 8 hours", _pairs("[1248]"))
CAPS = Value(
    "SYMBOL:CAP", "SYMBOL:CAP[,…] with a fraction such as 0.00300", _pairs(r"0\.[0-9]{1,8}")
)
