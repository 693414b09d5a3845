"""Which streams a connection carries, under which address, and how it moves between plans.

Sources: the venue's "Connect" page (`/stream?streams=a/b` wraps each frame) and its change notice
of 2026-03 (the route before it; without it a socket opens, acks, and stays silent).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Change:
    """From the streams that a connection has to those that it should have.

    `add` is subscribed first; `drop` goes once a row came on one of `add`, so that no row is lost.
    """

    add: tuple[str, ...]
    drop: tuple[str, ...]


def change_of_streams(present: Iterable[str], wanted: Sequence[str]) -> Change:
    have, want = set(present), set(wanted)
    return Change(
        tuple(name for name in wanted if name not in have),
        tuple(sorted(name for name in have if name not in want)),
    )


def in_requests(names: Sequence[str]) -> list[Sequence[str]]:
    """The names in portions that one request may carry."""
    return [names[i : i + NAMES_PER_REQUEST] for i in range(0, len(names), NAMES_PER_REQUEST)]
