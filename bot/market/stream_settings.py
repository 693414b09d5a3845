"""What can be set of the live stream."""

from dataclasses import dataclass

from bot.market.handover import COMPARED_FOR


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Where the stream is and how it is watched; times in seconds."""

    route: str  # BINANCE_STREAM_URL: `/stream?streams=...` is appended
    streams_per_connection: int = 200  # more symbols than that share the array stream
    row_timeout: float = 8.0  # without a row for so long a connection counts as dead
    handover_after: float = 23 * 3600.0 + 50 * 60.0  # the venue closes after 24 h
    compared_for: float = COMPARED_FOR  # two connections stand side by side at least so long
    ping_interval: float = 5.0
    ping_timeout: float = 5.0
    open_timeout: float = 5.0
    close_timeout: float = 1.0
    use_proxy: bool = True  # as the environment names it; never for loopback
