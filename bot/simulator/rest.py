"""The REST answers of the venue: a request target in, status, headers and body out."""

import heapq
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from bot.simulator.budget import PREMIUM_INDEX, Budget, RefusedError
from bot.simulator.contracts import ONBOARDED, exchange_info, funding_info
from bot.simulator.funding_times import SETTLEMENTS
from bot.simulator.prices import Market, Row

MOST_RATES = 1000  # rows of one fundingRate answer
UNPRICED = 1_643_673_600_000  # ms; fundingRate rows before 2022-02 have an empty markPrice
Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Rest:
    """The endpoints over one market, and the budget of their callers."""

    market: Market
    budget: Budget = field(default_factory=Budget)

    def answer(self, target: str, now: int) -> Answer:
        """The answer to GET `target` at a venue time (ms)."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        more: Mapping[str, str] = {}
        try:
            self.budget.charge(url.path, query, now)
            body, status = self._body(url.path, query, now), 200
        except RefusedError as error:
            body, status, more = error.body, error.status, error.headers
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        headers = {**self.budget.headers(url.path), **more}
        return Answer(status, text.encode("utf-8", "replace"), headers)

    def _body(self, path: str, query: Query, now: int) -> object:
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            raise RefusedError(404, -5000, f"Path {path}, Method GET is invalid")
        return endpoint(self.market, query, now)


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
        return _premium(market, _symbol(market, query["symbol"]), at)
    listings = market.universe.listings.values()
    return [_premium(market, each.symbol, at) for each in listings if not each.coin_margined]


def _premium(market: Market, symbol: str, at: int) -> dict[str, object]:
    row = market.rest_row(symbol, at)
    tradfi = market.universe.listings[symbol].tradfi
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
    """Past settlements of one symbol or of all, oldest first; 100 unless `limit` (at most 1000).

    As documented: without `startTime` the latest up to `endTime`, with it the first after it.
    """
    listings = market.universe.listings
    names = [_symbol(market, query["symbol"])] if "symbol" in query else list(listings)
    limit = _number(query, "limit", 100, least=1, most=MOST_RATES)
    end = min(_number(query, "endTime", now), now)
    start = _number(query, "startTime", 0)
    if start > end and "endTime" in query:
        raise RefusedError(400, -1023, "Start time is greater than end time.")
    funded = [
        each for each in map(listings.__getitem__, names) if each.funded and not each.coin_margined
    ]
    # As many as the answer may hold fall into this span, were every interval the longest.
    span = (limit // max(len(funded), 1) + 2) * SETTLEMENTS
    first = max(start if "startTime" in query else end - span, ONBOARDED)
    past = (
        (at, each.symbol)
        for each in funded
        for at in market.times.between(first, min(end, first + span), each.interval)
    )
    return [_settled(market.row(symbol, at)) for at, symbol in _chosen(past, limit, query)]


def _chosen(past: Iterable[tuple[int, str]], limit: int, query: Query) -> list[tuple[int, str]]:
    if "startTime" in query:
        return heapq.nsmallest(limit, past)
    return heapq.nlargest(limit, past)[::-1]


def _settled(row: Row) -> dict[str, object]:
    return {
        "symbol": row.symbol,
        "fundingTime": row.event_time,  # some ms past the hour, as on the venue
        "fundingRate": row.rate,
        "markPrice": row.mark_price if row.event_time >= UNPRICED else "",
        "rateType": "Regular",
    }


def _symbol(market: Market, symbol: str) -> str:
    listing = market.universe.listings.get(symbol)
    if listing is None or listing.coin_margined:
        raise RefusedError(400, -1121, "Invalid symbol.")
    return symbol


def _number(query: Query, name: str, otherwise: int, least: int = 0, most: int = 10**14) -> int:
    text = query.get(name, "")
    if not text and name not in query:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and least <= int(text) <= most):
        raise RefusedError(400, -1130, f"Data sent for parameter '{name}' is not valid.")
    return int(text)


ENDPOINTS: Mapping[str, Callable[[Market, Query, int], object]] = {
    "/fapi/v1/ping": _nothing,
    "/fapi/v1/time": _time,
    "/fapi/v1/exchangeInfo": _exchange_info,
    "/fapi/v1/fundingInfo": _funding_info,
    PREMIUM_INDEX: _premium_index,
    "/fapi/v1/fundingRate": _funding_rate,
}
