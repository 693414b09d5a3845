"""The REST answers of the venue: a request target in, status, headers and body out.

Limits as documented: weight 2400 a UTC minute per address; fundingInfo and fundingRate share 500
requests in 5 minutes and report no weight.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from bot.simulator.prices import HOUR, Market, Row
from bot.simulator.universe import Listing, Universe

MINUTE = 60_000  # ms
WEIGHT_LIMIT = 2400  # a UTC minute
FUNDING_LIMIT = 500  # requests of fundingInfo and fundingRate in 5 minutes
Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """An error of the venue: HTTP status, its own code, its words."""

    def __init__(self, status: int, code: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.body = {"code": code, "msg": words}


@dataclass
class Rest:
    """The endpoints over one market, and the budget of their callers (one address: loopback)."""

    market: Market
    used_weight: int = 0  # in the present minute
    _minute: int = 0
    _funding_calls: deque[int] = field(default_factory=deque)

    def answer(self, target: str, now: int) -> Answer:
        """The answer to GET `target` at a venue time (ms)."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            headers = self._charge(url.path, query, now)
            body, status = self._body(url.path, query, now), 200
        except RefusedError as error:
            headers, body, status = self._refused_headers(error, now), error.body, error.status
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return Answer(status, text.encode("utf-8", "replace"), headers)

    def _body(self, path: str, query: Query, now: int) -> object:
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            raise RefusedError(404, -5000, f"Path {path}, Method GET is invalid")
        return endpoint(self.market, query, now)

    def _charge(self, path: str, query: Query, now: int) -> dict[str, str]:
        """Takes the weight, refused requests included, and states it in the venue's header."""
        if path in FUNDING_PATHS:
            while self._funding_calls and self._funding_calls[0] <= now - 5 * MINUTE:
                self._funding_calls.popleft()
            self._funding_calls.append(now)
            if len(self._funding_calls) > FUNDING_LIMIT:
                raise RefusedError(429, -1003, _TOO_MANY)
            return {}
        if now // MINUTE != self._minute:
            self._minute, self.used_weight = now // MINUTE, 0
        self.used_weight += 10 if path == PREMIUM_INDEX and not query.get("symbol") else 1
        if self.used_weight > WEIGHT_LIMIT:
            raise RefusedError(429, -1003, _TOO_MANY)
        return {"X-MBX-USED-WEIGHT-1M": str(self.used_weight)}

    def _refused_headers(self, error: RefusedError, now: int) -> dict[str, str]:
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.used_weight)}
        if error.status == 429:
            headers["Retry-After"] = str((MINUTE - now % MINUTE) // 1000 + 1)
        return headers


_TOO_MANY = "Too many requests; current limit of IP is 2400 requests per minute."


_REFUSALS: Mapping[int, bytes] = {
    418: b'{"code":-1003,"msg":"Way too many requests; IP banned until 4133404800000."}',
    429: b'{"code":-1003,"msg":"Too many requests; current limit is 2400 requests per minute."}',
    451: b'{"code":0,"msg":"Service unavailable from a restricted location."}',
}


def refusal(status: int, retry_after: int) -> Answer:
    """A request or handshake refused as a whole; 418 and 429 say for how many seconds."""
    headers = {"Retry-After": str(retry_after)} if status in (418, 429) else {}
    return Answer(status, _REFUSALS.get(status, b""), headers)


def _nothing(market: Market, query: Query, now: int) -> object:
    del market, query, now
    return {}


def _time(market: Market, query: Query, now: int) -> object:
    del market, query
    return {"serverTime": now}


def _exchange_info(market: Market, query: Query, now: int) -> object:
    del query
    return exchange_info(market.universe, now)


def _funding_info(market: Market, query: Query, now: int) -> object:
    del query, now
    return funding_info(market.universe)


def _premium_index(market: Market, query: Query, now: int) -> object:
    """One object with a symbol, else all USDS-M contracts; the values of the last full second."""
    at = now // 1000 * 1000
    if query.get("symbol"):
        return _premium(market.row(_symbol(market, query["symbol"]), at), market)
    listings = market.universe.listings.values()
    return [
        _premium(market.row(each.symbol, at), market) for each in listings if not each.coin_margined
    ]


def _premium(row: Row, market: Market) -> dict[str, object]:
    tradfi = market.universe.listings[row.symbol].tradfi
    return {
        "symbol": row.symbol,
        "markPrice": row.mark_price,
        "indexPrice": row.index_price,
        "estimatedSettlePrice": row.settle_price,
        "lastFundingRate": row.rate,
        "interestRate": "0.00000000" if tradfi or not row.next_funding_time else "0.00010000",
        "nextFundingTime": row.next_funding_time,
        "time": row.event_time,
    }


def _funding_rate(market: Market, query: Query, now: int) -> object:
    """The latest settlements of one symbol, oldest first; 100 unless `limit` (at most 1000)."""
    listing = market.universe.listings[_symbol(market, query.get("symbol", ""))]
    text = query.get("limit", "100")
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise RefusedError(400, -1130, "Data sent for parameter 'limit' is not valid.")
    if not listing.funded:
        return []
    interval = listing.interval * HOUR
    last = now // interval * interval
    times = range(last - (int(text) - 1) * interval, last + 1, interval)
    return [_settled(market.row(listing.symbol, at)) for at in times]


def _settled(row: Row) -> dict[str, object]:
    return {
        "symbol": row.symbol,
        "fundingTime": row.event_time,  # some ms past the hour, as on the venue
        "fundingRate": row.rate,
        "markPrice": row.mark_price,
        "rateType": "Regular",
    }


def _symbol(market: Market, symbol: str) -> str:
    listing = market.universe.listings.get(symbol)
    if listing is None or listing.coin_margined:
        raise RefusedError(400, -1121, "Invalid symbol.")
    return symbol


def exchange_info(universe: Universe, now: int) -> dict[str, object]:
    """The body of GET /fapi/v1/exchangeInfo: USDS-M contracts of every status."""
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    rows = (each for each in universe.listings.values() if not each.coin_margined)
    return {
        "timezone": "UTC",
        "serverTime": now,
        "futuresType": "U_MARGINED",
        "rateLimits": [{**weight, "limit": WEIGHT_LIMIT}],
        "exchangeFilters": [],
        "assets": [{"asset": name, "marginAvailable": True} for name in ("USDT", "USDC")],
        "symbols": [_contract(each) for each in rows],
    }


def _contract(listing: Listing) -> dict[str, object]:
    return {
        "symbol": listing.symbol,
        "pair": f"{listing.base}{listing.quote}",
        "contractType": listing.contract_type,
        "deliveryDate": listing.delivery,
        "onboardDate": 1_569_398_400_000,
        "status": listing.status,
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": 8,
        "quantityPrecision": 3,
        "underlyingType": listing.underlying,
        "underlyingSubType": ["TradFi"] if listing.tradfi else [],
        "filters": [],
    }


def funding_info(universe: Universe) -> list[dict[str, object]]:
    """The body of GET /fapi/v1/fundingInfo: what was adjusted; the missing pay every 8 h.

    COIN-M perpetuals are listed as well, as on the venue.
    """
    return [
        {
            "symbol": each.symbol,
            "adjustedFundingRateCap": each.cap,
            "adjustedFundingRateFloor": f"-{each.cap}",
            "fundingIntervalHours": each.interval,
            "disclaimer": each.cap == "0.00300",
            "updateTime": None if each.cap == "0.00300" else 1_760_955_417_544,
        }
        for each in universe.listings.values()
        if each.adjusted and each.funded
    ]


PREMIUM_INDEX = "/fapi/v1/premiumIndex"
FUNDING_PATHS = ("/fapi/v1/fundingInfo", "/fapi/v1/fundingRate")
ENDPOINTS: Mapping[str, Callable[[Market, Query, int], object]] = {
    "/fapi/v1/ping": _nothing,
    "/fapi/v1/time": _time,
    "/fapi/v1/exchangeInfo": _exchange_info,
    "/fapi/v1/fundingInfo": _funding_info,
    PREMIUM_INDEX: _premium_index,
    "/fapi/v1/fundingRate": _funding_rate,
}
