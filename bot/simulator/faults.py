"""Everything that can go wrong with a venue, as switches with names.

A switch is on with a text as its value, or off. Deeds happen once, when they are set. What a switch
does is done where it belongs; here stand the names, the meanings, and what is done to frames.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

OFF = "off"
Distortion = Callable[[list[str], list[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Switch:
    """`value` is a `COUNT` (whole number), `SYMBOLS`, `INTERVALS`, or "" for none."""

    meaning: str
    value: str = ""
    default: str = ""
    deed: bool = False


COUNT, SYMBOLS, INTERVALS = "a whole number", "SYMBOL[,SYMBOL…]", "SYMBOL:HOURS[,…]"

SWITCHES: Mapping[str, Switch] = {
    "silent": Switch("no rows; pongs and answers go on"),
    "black-hole": Switch("nothing is read, written or closed; REST and handshakes hang too"),
    "accept-then-close": Switch("every connection is closed at once with this code", COUNT, "1008"),
    "refuse": Switch("handshakes are refused with this HTTP status", COUNT, "503"),
    "retry-after": Switch("the Retry-After (s) of 429 and 418 refusals", COUNT, "5"),
    "rest-down": Switch("REST answers everything with this HTTP status", COUNT, "503"),
    "close": Switch("all connections are closed once with this code", COUNT, "1001", deed=True),
    "reset": Switch("all connections are reset once (TCP RST)", deed=True),
    "repeat": Switch("every frame is sent twice"),
    "reorder": Switch("frames come in pairs, the later one first"),
    "broken": Switch("a frame that is no JSON before every push"),
    "foreign": Switch("events of other streams before every push"),
    "clock-jump": Switch("E is off by this many ms; negative is behind", COUNT, "3600000"),
    "drop": Switch("these symbols have no rows any more", SYMBOLS),
    "delist": Switch("these settle: T 0, rate 0, status SETTLING, rows go on", SYMBOLS),
    "interval": Switch("these pay at another interval from now on, no settlement", INTERVALS),
}


class Faults:
    """Which switches are on. `changed(name)` is called after each change, and to do a deed."""

    def __init__(self, symbols: Callable[[str], bool], changed: Callable[[str], None]) -> None:
        self._known_symbol = symbols
        self._changed = changed
        self._on: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._on

    def set(self, name: str, value: str | int = "") -> None:
        """Turns a switch on (or off, with the value "off"), or does a deed.

        Raises:
            ValueError: no such switch, or a value that it does not take.
        """
        text = str(value)
        if text == OFF:
            self.clear(name)
            return
        text = text or _switch(name).default
        self._check(name, text)
        self._on[name] = text
        self._changed(name)
        if SWITCHES[name].deed:
            del self._on[name]

    def set_text(self, text: str) -> None:
        """Turns on what a command line says: NAME or NAME=VALUE."""
        name, _, value = text.partition("=")
        self.set(name, value)

    def clear(self, name: str | None = None) -> None:
        """Turns one switch off, or all."""
        gone = list(self._on) if name is None else [name]
        for each in gone:
            _switch(each)
            self._on.pop(each, None)
            self._changed(each)

    def on(self) -> dict[str, str]:
        """The switches that are on, with their values."""
        return dict(self._on)

    def number(self, name: str, otherwise: int = 0) -> int:
        return int(self._on.get(name, otherwise))

    def symbols(self, name: str) -> list[str]:
        return [each for each in self._on.get(name, "").split(",") if each]

    def intervals(self) -> dict[str, int]:
        """Hours by symbol."""
        pairs = (each.rpartition(":") for each in self.symbols("interval"))
        return {symbol: int(hours) for symbol, _, hours in pairs}

    def _check(self, name: str, text: str) -> None:
        kind = SWITCHES[name].value
        parts = text.split(",")
        if kind == COUNT:
            fine = text.removeprefix("-").isdecimal()
        elif kind == SYMBOLS:
            fine = all(map(self._known_symbol, parts))
        elif kind == INTERVALS:
            fine = all(self._is_interval(part) for part in parts)
        else:
            fine = text == ""
        if not fine:
            raise ValueError(f"fault {name}: expected {kind or 'no value'}, got {text!r}")

    def _is_interval(self, text: str) -> bool:
        symbol, _, hours = text.rpartition(":")
        return self._known_symbol(symbol) and hours in ("1", "2", "4", "8")


def _switch(name: str) -> Switch:
    if name not in SWITCHES:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(SWITCHES)}")
    return SWITCHES[name]


BROKEN = '[{"e":"markPriceUpdate","E":17'
FOREIGN = (
    '{"e":"aggTrade","E":1791382992000,"s":"BTCUSDT","a":26129,"p":"83067.30","m":true}',
    '{"e":"contractInfo","E":1791382992000,"s":"BTCUSDT","ct":"PERPETUAL","cs":"TRADING","st":1}',
    '{"stream":"tradingSession","data":{"e":"EquityUpdate","E":1791382992000,"S":"REGULAR"}}',
)


def _swap(frames: list[str], held: list[str]) -> list[str]:
    if not held:
        held.extend(frames)
        return []
    late = held.copy()
    held.clear()
    return [*frames, *late]


# What is done to the frames of a push: (these, those held back) -> what is sent. `held` is the
# connection's own list, changed in place.
DISTORTIONS: Mapping[str, Distortion] = {
    "repeat": lambda frames, _: frames * 2,
    "reorder": _swap,
    "broken": lambda frames, _: [BROKEN, *frames],
    "foreign": lambda frames, _: [*FOREIGN, *frames],
}
