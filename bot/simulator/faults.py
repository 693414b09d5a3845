"""Everything that can go wrong with a venue, as switches with names.

A switch is on with a text as its value, or off. Deeds happen once, when they are set. What a switch
does is done where it belongs; here stand the names and the meanings.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass

from bot.simulator import switch_values as values
from bot.simulator.switch_values import Value

OFF = "off"


@dataclass(frozen=True, slots=True)
class Switch:
    """`default` is the value that the bare name stands for; "" where there is none."""

    meaning: str
    value: Value = values.NOTHING
    default: str = ""
    deed: bool = False


SWITCHES: Mapping[str, Switch] = {
    # The link
    "silent": Switch("no rows; pongs and answers go on"),
    "black-hole": Switch(
        "nothing is read, written or closed; handshakes and REST hang; connections last over it"
    ),
    "accept-then-close": Switch(
        "new connections are accepted and closed at once with this code", values.CODE, "1008"
    ),
    "refuse": Switch("handshakes are refused with this HTTP status", values.STATUS, "503"),
    "retry-after": Switch("the Retry-After (s) of 429 and 418 answers", values.WAIT, "5"),
    "lifetime": Switch(
        "a connection is cut (1001) this long after it was opened, open ones too; the venue's 24 h",
        values.SECONDS,
        "30",
    ),
    "close": Switch(
        "all connections are closed once with this code", values.CODE, "1001", deed=True
    ),
    "reset": Switch("all connections are reset once (TCP RST)", deed=True),
    "shutdown-notice": Switch(
        "serverShutdown is sent on all connections, and these are cut (1001) so much later",
        values.SECONDS,
        "10",
        deed=True,
    ),
    # The rows
    "repeat": Switch("every frame is sent twice"),
    "reorder": Switch("frames come in pairs, the later one first"),
    "broken": Switch("a frame that is no JSON before every push"),
    "malformed": Switch("frames of JSON that is no row before every push"),
    "foreign": Switch("events of other streams before every push"),
    "clock-jump": Switch("E is off by this many ms; negative is behind", values.SKEW, "3600000"),
    "lag": Switch("rows are delivered this much later than their E", values.SECONDS, "10"),
    "drop": Switch("the stream has no rows of these any more; REST still has", values.SYMBOLS),
    # The contracts
    "delist": Switch("these settle: T 0, rate 0, status SETTLING, rows go on", values.SYMBOLS),
    "unlist": Switch("these are not listed yet: nowhere to be seen", values.SYMBOLS),
    "interval": Switch(
        "these pay at another interval from now on, no settlement", values.INTERVALS
    ),
    "cap": Switch("these have another cap, and its negative as floor", values.CAPS),
    "settle": Switch(
        "every funded symbol settles once in so many seconds: T is pulled there; off takes it back",
        values.SECONDS,
        "10",
        deed=True,
    ),
    # REST
    "rest-down": Switch("REST answers everything with this HTTP status", values.STATUS, "503"),
    "rest-hang": Switch("REST takes requests and does not answer them"),
    "disagree": Switch(
        "premiumIndex says of these 10 % more mark price and 1 % more rate than the stream",
        values.SYMBOLS,
    ),
}


def described() -> Iterator[tuple[str, str]]:
    """Every switch as it is written on the command line, and what it does."""
    for name, switch in SWITCHES.items():
        value = f"={switch.value.sign}" if switch.value.sign else ""
        default = f" (unless said: {switch.default})" if switch.default else ""
        yield f"{name}{value}", f"{switch.meaning}{default}"


class Faults:
    """Which switches are on. `changed(name)` is called after each change, and to do a deed."""

    def __init__(self, symbols: Container[str], changed: Callable[[str], None]) -> None:
        self._known = symbols
        self._changed = changed
        self._on: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._on

    def set(self, name: str, value: str | float = "") -> None:
        """Turns a switch on (or off, with the value "off"), or does a deed.

        Raises:
            ValueError: no such switch, or a value that it does not take.
        """
        text = str(value)
        if text == OFF:
            self.clear(name)
            return
        switch = _switch(name)
        text = text or switch.default
        if not switch.value.fits(text, self._known):
            raise ValueError(f"fault {name}: expected {switch.value.words}, got {text!r}")
        self._on[name] = text
        self._changed(name)
        if switch.deed:
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

    def seconds(self, name: str, otherwise: float = 0.0) -> float:
        return float(self._on.get(name, otherwise))

    def symbols(self, name: str) -> list[str]:
        return values.symbols_of(self._on.get(name, ""))

    def intervals(self) -> dict[str, int]:
        """Hours by symbol."""
        return {each: int(hours) for each, hours in self._pairs("interval").items()}

    def caps(self) -> dict[str, str]:
        """Caps by symbol, as the exact texts to send."""
        return self._pairs("cap")

    def _pairs(self, name: str) -> dict[str, str]:
        return values.pairs_of(self._on.get(name, ""))


def _switch(name: str) -> Switch:
    if name not in SWITCHES:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(SWITCHES)}")
    return SWITCHES[name]
