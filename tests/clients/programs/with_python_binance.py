"""python-binance, https://github.com/sammchardy/python-binance."""

import asyncio
import json
import sys
from typing import Any

from binance import AsyncClient, BinanceSocketManager  # type: ignore[import-not-found]

stream_root, rest_root = sys.argv[1:]
AsyncClient.FUTURES_URL = f"{rest_root}/fapi"
BinanceSocketManager.FSTREAM_URL = f"{stream_root}/"  # the library adds market/


async def main() -> None:
    client = AsyncClient()
    manager = BinanceSocketManager(client)
    found: dict[str, Any] = {}
    async with manager.symbol_mark_price_socket("BTCUSDT") as socket:
        found["stream"] = await socket.recv()
    async with manager.all_mark_price_socket() as socket:
        found["market"] = [await socket.recv() for _ in range(4)]
    found["time"] = await client.futures_time()
    found["mark_price"] = await client.futures_mark_price(symbol="BTCUSDT")
    found["funding_rate"] = await client.futures_funding_rate(symbol="BTCUSDT", limit=3)
    found["exchange_info"] = await client.futures_exchange_info()
    await client.close_connection()
    sys.stdout.write(json.dumps(found))


asyncio.run(main())
