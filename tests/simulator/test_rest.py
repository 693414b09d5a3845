import json
from typing import Any

import pytest

from bot.market.catalog import Catalog
from bot.simulator.budget import FUNDING_LIMIT
from bot.simulator.funding_times import HOUR
from bot.simulator.prices import Market
from bot.simulator.rest import Answer, Rest, refusal
from bot.simulator.universe import build_universe

NOW = 1_795_363_201_873
AT = 1_795_363_201_000
UNIVERSE = build_universe(1, 330, NOW)


@pytest.fixture
def rest() -> Rest:
    return Rest(Market(UNIVERSE, seed=1, started=NOW))


def get(rest: Rest, target: str, now: int = NOW) -> Any:
    answer = rest.answer(target, now)
    assert answer.status == 200
    return json.loads(answer.body)


def weight(answer: Answer) -> int:
    return int(answer.headers["X-MBX-USED-WEIGHT-1M"])


def test_the_catalog_reads_the_simulators_bodies(rest: Rest) -> None:
    catalog = (
        Catalog()
        .with_exchange_info(get(rest, "/fapi/v1/exchangeInfo"))
        .with_funding_info(get(rest, "/fapi/v1/fundingInfo"))
    )
    assert catalog.trades("BTCUSDT") is True
    assert catalog.trades("MATICUSDT") is False
    assert catalog.trades("BTCUSD_PERP") is False
    assert catalog.contracts is not None
    assert catalog.contracts["XAUUSDT"].contract_type == "TRADIFI_PERPETUAL"
    assert catalog.funding["币安人生USDT"].interval_hours == 4
    assert catalog.funding["BTCUSDT"].interval_hours == 8
    assert "AVAXUSDT" not in catalog.funding
    floor = catalog.funding["BTCUSDT"].floor
    assert floor is not None
    assert floor.approx == -0.003


def test_funding_info_leaves_out_only_symbols_that_pay_every_eight_hours(rest: Rest) -> None:
    listed = {row["symbol"] for row in get(rest, "/fapi/v1/fundingInfo")}
    missing = [s for s, each in UNIVERSE.listings.items() if each.funded and s not in listed]
    assert missing
    assert all(UNIVERSE.listings[symbol].interval == 8 for symbol in missing)


def test_the_time_is_the_venues(rest: Rest) -> None:
    assert get(rest, "/fapi/v1/ping") == {}
    assert get(rest, "/fapi/v1/time") == {"serverTime": NOW}


def test_the_premium_index_says_what_the_stream_said_last(rest: Rest) -> None:
    row = rest.market.row("ETHUSDT", AT)
    body = get(rest, "/fapi/v1/premiumIndex?symbol=ETHUSDT")
    assert body == {
        "symbol": "ETHUSDT",
        "markPrice": row.mark_price,
        "indexPrice": row.index_price,
        "estimatedSettlePrice": row.settle_price,
        "lastFundingRate": row.rate,
        "interestRate": "0.00010000",
        "nextFundingTime": row.next_funding_time,
        "time": row.event_time,
    }


def test_the_whole_premium_index_has_every_usds_margined_contract(rest: Rest) -> None:
    symbols = [row["symbol"] for row in get(rest, "/fapi/v1/premiumIndex")]
    assert len(symbols) == 330 - 6
    assert "BTCUSD_PERP" not in symbols
    assert {"XAUUSDT", "MATICUSDT", "BTCUSDT_261225"} <= set(symbols)


@pytest.mark.parametrize(("query", "rows"), [("", 100), ("&limit=3", 3), ("&limit=1000", 1000)])
def test_past_settlements_come_oldest_first(rest: Rest, query: str, rows: int) -> None:
    body = get(rest, f"/fapi/v1/fundingRate?symbol=BTCUSDT{query}")
    times = [row["fundingTime"] // 60_000 * 60_000 for row in body]
    settlement = NOW // (8 * HOUR) * 8 * HOUR

    assert times == [settlement - n * 8 * HOUR for n in reversed(range(rows))]
    assert body[-1]["rateType"] == "Regular"


LAST = NOW // (8 * HOUR) * 8 * HOUR


def settlements(rest: Rest, query: str) -> list[tuple[str, int]]:
    """Symbols and times, to the minute, of a fundingRate answer."""
    body = get(rest, f"/fapi/v1/fundingRate?{query}")
    return [(row["symbol"], row["fundingTime"] // 60_000 * 60_000) for row in body]


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        (f"startTime={LAST - 24 * HOUR}", [-3, -2, -1, 0]),
        (f"startTime={LAST - 24 * HOUR + 1}", [-2, -1, 0]),
        (f"startTime={LAST - 24 * HOUR}&limit=2", [-3, -2]),
        (f"endTime={LAST - 8 * HOUR}&limit=2", [-2, -1]),
        (f"startTime={LAST - 24 * HOUR}&endTime={LAST - 8 * HOUR}", [-3, -2, -1]),
        (f"startTime={LAST - 24 * HOUR}&endTime={LAST - 8 * HOUR}&limit=1", [-3]),
        (f"startTime={LAST + 1}", []),
        (f"endTime={LAST + 10**9}&limit=1", [0]),
    ],
)
def test_past_settlements_honour_their_span(rest: Rest, query: str, steps: list[int]) -> None:
    expected = [("BTCUSDT", LAST + step * 8 * HOUR) for step in steps]
    assert settlements(rest, f"symbol=BTCUSDT&{query}") == expected


def test_past_settlements_of_all_symbols_come_oldest_first(rest: Rest) -> None:
    found = settlements(rest, "limit=1000")
    assert len(found) == 1000
    assert [at for _, at in found] == sorted(at for _, at in found)
    symbols = {symbol for symbol, _ in found}
    assert {"BTCUSDT", "XAUUSDT", "币安人生USDT"} <= symbols
    assert not {"BTCUSD_PERP", "MATICUSDT", "BTCUSDT_261225"} & symbols
    assert len(set(found)) == 1000


def test_history_begins_with_the_listing_and_old_rows_have_no_mark_price(rest: Rest) -> None:
    body = get(rest, "/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=0&limit=2")
    assert body[0]["fundingTime"] >= 1_569_398_400_000
    assert [row["markPrice"] for row in body] == ["", ""]


def test_an_added_settlement_is_part_of_the_history(rest: Rest) -> None:
    rest.market.times.add(NOW - 500)
    body = get(rest, "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=2")
    assert body[0]["fundingTime"] - LAST in range(13)
    assert body[1]["fundingTime"] - (NOW - 500) in range(13)


def test_a_contract_carries_what_clients_read_precisions_from(rest: Rest) -> None:
    symbols = get(rest, "/fapi/v1/exchangeInfo")["symbols"]
    assert all(
        {"PRICE_FILTER", "LOT_SIZE"} <= {each["filterType"] for each in symbol["filters"]}
        for symbol in symbols
    )


def test_a_contract_without_funding_has_no_settlements(rest: Rest) -> None:
    assert get(rest, "/fapi/v1/fundingRate?symbol=BTCUSDT_261225") == []


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/fapi/v1/premiumIndex?symbol=NOPE", 400, -1121),
        ("/fapi/v1/premiumIndex?symbol=BTCUSD_PERP", 400, -1121),
        ("/fapi/v1/fundingRate?symbol=NOPE", 400, -1121),
        ("/fapi/v1/fundingRate?symbol=BTCUSDT&limit=0", 400, -1130),
        ("/fapi/v1/fundingRate?symbol=BTCUSDT&limit=x", 400, -1130),
        ("/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=soon", 400, -1130),
        ("/fapi/v1/fundingRate?symbol=BTCUSDT&endTime=", 400, -1130),
        ("/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=2&endTime=1", 400, -1023),
        ("/fapi/v1/nonesuch", 404, -5000),
    ],
)
def test_a_wrong_request_is_answered_with_the_venues_error(
    rest: Rest, target: str, status: int, code: int
) -> None:
    answer = rest.answer(target, NOW)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_an_unknown_symbol_gets_the_recorded_answer_and_costs_weight(rest: Rest) -> None:
    answer = rest.answer("/fapi/v1/premiumIndex?symbol=NOPE", NOW)
    assert answer.body == b'{"code":-1121,"msg":"Invalid symbol."}'
    assert weight(answer) == 1


def test_weight_adds_up_and_starts_afresh_with_the_utc_minute(rest: Rest) -> None:
    assert weight(rest.answer("/fapi/v1/premiumIndex", NOW)) == 10
    assert weight(rest.answer("/fapi/v1/premiumIndex?symbol=BTCUSDT", NOW)) == 11
    assert weight(rest.answer("/fapi/v1/time", NOW + 60_000)) == 1


def test_funding_endpoints_report_no_weight(rest: Rest) -> None:
    assert "X-MBX-USED-WEIGHT-1M" not in rest.answer("/fapi/v1/fundingInfo", NOW).headers


def test_beyond_the_weight_limit_comes_429_with_the_time_to_wait(rest: Rest) -> None:
    for _ in range(2400):
        assert rest.answer("/fapi/v1/ping", NOW).status == 200
    answer = rest.answer("/fapi/v1/ping", NOW)
    assert answer.status == 429
    wait = int(answer.headers["Retry-After"]) * 1000
    assert rest.answer("/fapi/v1/ping", NOW + wait).status == 200


def test_the_funding_endpoints_share_500_requests_in_five_minutes(rest: Rest) -> None:
    targets = ("/fapi/v1/fundingInfo", "/fapi/v1/fundingRate?symbol=MATICUSDT")
    for n in range(FUNDING_LIMIT):
        assert rest.answer(targets[n % 2], NOW).status == 200
    assert rest.answer(targets[0], NOW).status == 429
    assert rest.answer(targets[0], NOW + 300_000).status == 200


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "7"}), (418, {"Retry-After": "7"}), (451, {})]
)
def test_a_refusal_says_how_long_where_the_venue_does(status: int, headers: dict[str, str]) -> None:
    assert refusal(status, 7).headers == headers
