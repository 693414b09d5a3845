"""Which streams are wanted, and under which address they are had.

Sources: the venue's "Connect" page (`/stream?streams=a/b` wraps each frame) and its change notice
of 2026-03 (the route before it; without it a socket opens, acks, and stays silent).
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from bot.market.binance import array_stream, symbol_stream

NAMES_PER_REQUEST = 200  # accepted by the venue in one SUBSCRIBE, measured 2026-10
NAMES_IN_ADDRESS = 100  # keeps the request line short; the rest is subscribed


def plan_streams(
    symbols: Iterable[str] | None, *, every_second: bool, limit: int
) -> tuple[str, ...]:
    """The streams that bring the rows of these symbols; None means all of them.

    Up to `limit` symbols get a stream each. More of them, all, or none (the health of the feed
    must stay visible) share the array stream, which sends TradFi symbols in frames of their own.
    """
    wanted = sorted(set(symbols)) if symbols is not None else []
    if not 0 < len(wanted) <= limit:
        return (array_stream(every_second=every_second),)
    return tuple(symbol_stream(symbol, every_second=every_second) for symbol in wanted)


def stream_address(route: str, streams: Sequence[str]) -> str:
    """The address of a combined connection; names that are not ASCII are percent-encoded."""
    names = "/".join(quote(name, safe="!@") for name in streams)
    return f"{route.rstrip('/')}/stream?streams={names}"


def is_loopback(address: str) -> bool:
    """Whether a URL leads to this machine: no proxy is asked for that."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_array(stream: str) -> bool:
    """Whether a stream brings all symbols."""
    return stream.startswith("!")


def subject(stream: str) -> str:
    """What a stream is about, whatever its speed: a symbol in lower case, or all of them."""
    return stream.partition("@")[0]


def subjects(plan: Iterable[str]) -> frozenset[str] | None:
    """The symbols, in lower case, that a plan brings; None for all of them."""
    names = tuple(plan)
    return None if any(map(is_array, names)) else frozenset(map(subject, names))
