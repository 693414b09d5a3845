"""UNICORN Binance WebSocket API, https://github.com/oliver-zehentleitner."""

import json
import sys
import time
from typing import Any

from unicorn_binance_websocket_api import (  # type: ignore[import-not-found]
    BinanceWebSocketApiManager,
)

stream_root, _ = sys.argv[1:]


def receive(manager: Any, channel: str, market: str, count: int) -> list[Any]:
    """The first frames of a stream; those of earlier streams are passed over."""
    stream = manager.create_stream(channel, market, output="dict")
    frames: list[Any] = []
    while len(frames) < count:
        frame = manager.pop_stream_data_from_stream_buffer()
        if not frame:
            time.sleep(0.01)
        elif frame.get("stream") == f"{market}@{channel}":
            frames.append(frame)
    manager.stop_stream(stream)
    return frames


with BinanceWebSocketApiManager(
    exchange="binance.com-futures",
    websocket_base_uri=f"{stream_root}/",  # the library adds market/
    warn_on_update=False,  # or it asks the network for its newest version
) as manager:
    found = {
        "stream": receive(manager, "markPrice@1s", "btcusdt", 1)[0],
        "market": receive(manager, "arr@1s", "!markPrice", 4),
    }
sys.stdout.write(json.dumps(found))
