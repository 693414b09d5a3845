"""The venue's own SDK, https://github.com/binance/binance-connector-python."""

import asyncio
import json
import sys
from typing import Any

from binance_common.configuration import (  # type: ignore[import-not-found]
    ConfigurationRestAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (  # type: ignore[import-not-found]
    DerivativesTradingUsdsFutures,
)

stream_root, rest_root = sys.argv[1:]


async def first(stream: Any, count: int) -> list[Any]:
    """The first messages of a stream."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream.on("message", queue.put_nowait)
    return [await queue.get() for _ in range(count)]


def plain(value: Any) -> Any:
    return [plain(each) for each in value] if isinstance(value, list) else value.to_dict()


async def main() -> None:
    client = DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(api_key="", api_secret="", base_path=rest_root),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=stream_root),  # adds /market
    )
    connection = await client.websocket_streams.create_connection()
    one = await connection.mark_price_stream(symbol="btcusdt", update_speed="1s")
    found: dict[str, Any] = {"stream": plain(await first(one, 1))[0]}
    await one.unsubscribe()
    whole = await connection.mark_price_stream_for_all_market(update_speed="1s")
    found["market"] = plain(await first(whole, 4))
    await connection.close_connection(close_session=True)
    rest = client.rest_api
    found["mark_price"] = plain(rest.mark_price(symbol="BTCUSDT").data())
    found["funding_rate"] = plain(rest.get_funding_rate_history(symbol="BTCUSDT", limit=3).data())
    found["funding_info"] = plain(rest.get_funding_rate_info().data())
    found["exchange_info"] = plain(rest.exchange_information().data())
    sys.stdout.write(json.dumps(found, default=str))


asyncio.run(main())
