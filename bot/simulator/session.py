"""One client's connection as the venue keeps it: its route, its streams, answers to its requests.

Sources: the venue's "Live Subscribing/Unsubscribing" page for requests and error codes; probes of
2026-10 for the limits, the order of error and close, and for bad names being acknowledged.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard
from urllib.parse import parse_qs, unquote, urlsplit

from bot.simulator.payloads import Payloads
from bot.simulator.universe import Listing, Universe

MAX_STREAMS = 1024
BURST = 15  # messages answered back to back
RATE = 10  # messages per second in the long run
POLICY_VIOLATION = 1008
MAX_ID = 36  # characters of a request's id
Id = int | str
CATEGORIES = ("market", "public", "private", "")  # "" is the legacy route, silent since 2026-04-23


class Stream(NamedTuple):
    """A mark price stream: of one symbol, or of all with None."""

    symbol: str | None
    every_second: bool  # else every third


class Close(NamedTuple):
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered with, and whether the connection ends."""

    text: str = ""
    close: Close | None = None


_TOO_MANY_STREAMS = Reply(
    '{"error":{"code":4,"msg":"Too many subscriptions"}}',
    Close(POLICY_VIOLATION, "Invalid request"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """What a connection's address asks for."""

    live: bool  # only /market carries mark prices
    combined: bool
    streams: tuple[str, ...]


def parse_route(target: str) -> Route | None:
    """The route of a request target; None where the venue has nothing."""
    url = urlsplit(target)
    parts = url.path.strip("/").split("/")
    category = parts.pop(0) if parts[0] in CATEGORIES and len(parts) > 1 else ""
    if parts[0] == "ws":
        names = parts[1:]
    elif parts == ["stream"]:
        names = ",".join(parse_qs(url.query).get("streams", ())).split("/")
        return Route(category == "market", True, tuple(name for name in names if name))
    else:
        return None
    return Route(category == "market", False, tuple(unquote(name) for name in names if name))


def parse_stream(name: str, symbols: Mapping[str, Listing]) -> Stream | None:
    """The stream of a name; None for those that are acknowledged and never deliver.

    `symbols` is keyed by the lower case names that streams are called by.
    """
    head, _, kind = name.partition("@")
    if head == "!markPrice" and kind in ("arr", "arr@1s"):
        return Stream(None, kind == "arr@1s")
    listing = symbols.get(head)
    if listing is None or listing.coin_margined or kind not in ("markPrice", "markPrice@1s"):
        return None
    return Stream(listing.symbol, kind == "markPrice@1s")


def stream_names(universe: Universe) -> dict[str, Listing]:
    """The listings by the names that streams call them."""
    return {each.symbol.lower(): each for each in universe.listings.values()}


@dataclass
class Session:
    """The state of one connection; times are seconds on any steady clock."""

    route: Route
    symbols: Mapping[str, Listing]
    streams: dict[str, Stream | None] = field(default_factory=dict)
    busiest: int = 0  # the most messages within one second so far
    _recent: list[float] = field(default_factory=list)
    _allowance: float = BURST
    _refilled: float = 0.0

    def __post_init__(self) -> None:
        self.combined = self.route.combined
        self._subscribe(self.route.streams)

    def greeting(self) -> Reply:
        """What the venue says first: nothing, unless the address named too many streams."""
        return _TOO_MANY_STREAMS if len(self.streams) > MAX_STREAMS else Reply()

    def answer(self, message: str | bytes, now: float) -> Reply:
        """The venue's answer to one message of the client."""
        if not self._allowed(now):
            return Reply(close=Close(POLICY_VIOLATION, "Too many requests"))
        try:
            request = json.loads(message)
        except (ValueError, RecursionError) as error:
            return _error(3, f"Invalid JSON: {error}", None)
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(2, "Invalid request: missing field `method` at line 1 column 1", None)
        number = request.get("id")
        if not _is_id(number):
            return _error(2, "Invalid request: request ID must be an unsigned integer", None)
        method = METHODS.get(request["method"])
        if method is None:
            known = ", ".join(f"`{name}`" for name in METHODS)
            unknown = f"unknown variant `{request['method']}`, expected one of {known}"
            return _error(2, f"Invalid request: {unknown}", number)
        return method(self, request.get("params", []), number)

    def _allowed(self, now: float) -> bool:
        self._recent = [at for at in self._recent if at > now - 1] + [now]
        self.busiest = max(self.busiest, len(self._recent))
        self._allowance = min(self._allowance + (now - self._refilled) * RATE, BURST) - 1
        self._refilled = now
        return self._allowance >= 0

    def _subscribe(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.streams[name] = parse_stream(name, self.symbols) if self.route.live else None

    def subscribe(self, params: object, number: Id) -> Reply:
        names = _names(params)
        if names is None:
            return _error(2, "Invalid request: stream name must be a string", number)
        if len({*self.streams, *names}) > MAX_STREAMS:
            return _TOO_MANY_STREAMS
        self._subscribe(names)
        return _result(None, number)

    def unsubscribe(self, params: object, number: Id) -> Reply:
        names = _names(params)
        if names is None:
            return _error(2, "Invalid request: stream name must be a string", number)
        for name in names:
            self.streams.pop(name, None)
        return _result(None, number)

    def subscriptions(self, _: object, number: Id) -> Reply:
        return _result(list(self.streams), number)

    def set_property(self, params: object, number: Id) -> Reply:
        match params:
            case ["combined", bool(value)]:
                self.combined = value
                return _result(None, number)
            case ["combined", _]:
                return _error(1, "Invalid value type: expected Boolean", number)
            case [str(), _]:
                return _error(0, "Unknown property", number)
        return _error(2, "Invalid request: property name must be a string", number)

    def get_property(self, params: object, number: Id) -> Reply:
        if params == ["combined"]:
            return _result(self.combined, number)
        return _error(0, "Unknown property", number)

    def frames(self, payloads: Payloads) -> Iterator[str]:
        """What this connection is sent of one push."""
        for name, stream in self.streams.items():
            if stream is None or not (stream.every_second or payloads.third):
                continue
            payload = payloads.of(stream.symbol)
            if payload and self.combined:
                yield f'{{"stream":"{name}","data":{payload}}}'
            elif payload:
                yield payload


METHODS: Mapping[str, Callable[[Session, object, Id], Reply]] = {
    "SUBSCRIBE": Session.subscribe,
    "UNSUBSCRIBE": Session.unsubscribe,
    "LIST_SUBSCRIPTIONS": Session.subscriptions,
    "SET_PROPERTY": Session.set_property,
    "GET_PROPERTY": Session.get_property,
}


def _names(params: object) -> tuple[str, ...] | None:
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        return None
    return tuple(params)


def _is_id(value: object) -> TypeGuard[Id]:
    """Documented is an unsigned integer; the venue's own SDK sends UUIDs as strings."""
    if isinstance(value, str):
        return 0 < len(value) <= MAX_ID
    return type(value) is int and value >= 0


def _result(result: object, number: Id) -> Reply:
    return Reply(_write({"result": result, "id": number}))


def _error(code: int, words: str, number: Id | None) -> Reply:
    """The shape seen on the wire; the documentation shows the inner object alone."""
    body: dict[str, object] = {"error": {"code": code, "msg": words}}
    return Reply(_write(body if number is None else {**body, "id": number}))


def _write(body: object) -> str:
    """Compact JSON, in UTF-8 as the venue echoes names; half a surrogate pair becomes "?"."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()
