"""ccxt, https://github.com/ccxt/ccxt: its streaming half."""

import asyncio
import json
import sys
from typing import Any

import ccxt.pro  # type: ignore[import-not-found]

stream_root, rest_root = sys.argv[1:]
SYMBOL = "BTC/USDT:USDT"


async def main() -> None:
    exchange = ccxt.pro.binanceusdm()
    exchange.urls["api"]["fapiPublic"] = f"{rest_root}/fapi/v1"
    exchange.urls["api"]["ws"]["linear"] = f"{stream_root}/ws"  # the library puts in /market
    found: dict[str, Any] = {}
    markets = await exchange.load_markets()
    found["markets"] = {
        symbol: {"active": market["active"], "precision": market["precision"]}
        for symbol, market in markets.items()
    }
    found["stream"] = await exchange.watch_mark_price(SYMBOL)
    found["market"] = [await exchange.watch_mark_prices() for _ in range(4)]
    found["mark_price"] = await exchange.fetch_mark_price(SYMBOL)
    found["funding_rate"] = await exchange.fetch_funding_rate(SYMBOL)
    found["funding_rates"] = await exchange.fetch_funding_rates()
    found["intervals"] = await exchange.fetch_funding_intervals()
    found["history"] = await exchange.fetch_funding_rate_history(SYMBOL, limit=3)
    await exchange.close()
    sys.stdout.write(json.dumps(found))


asyncio.run(main())
