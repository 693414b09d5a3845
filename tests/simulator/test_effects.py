"""What the switches of contracts, settlements and REST do, seen from both sides."""

import asyncio
from typing import Any

import httpx
import pytest

from bot.market.tick import Tick
from bot.simulator.server import Simulator, SimulatorSettings
from tests.simulator.wire import (
    BITCOIN,
    DEADLINE,
    QUIET,
    frame,
    get,
    is_silent,
    link,
    switch,
    tick,
    until,
)

HOUR = 3_600_000  # ms


async def rest(simulator: Simulator, name: str) -> Any:
    return (await get(simulator, f"/fapi/v1/{name}")).json()


async def symbols_of(simulator: Simulator) -> list[set[str]]:
    """The symbols that each REST list and the array stream name."""
    info = {each["symbol"] for each in (await rest(simulator, "exchangeInfo"))["symbols"]}
    premium = {each["symbol"] for each in await rest(simulator, "premiumIndex")}
    funding = {each["symbol"] for each in await rest(simulator, "fundingInfo")}
    async with link(simulator) as websocket:
        rows = {row.symbol for _ in range(4) for row in (await frame(websocket)).ticks}
    return [info, premium, funding, rows]


async def test_an_unlisted_symbol_is_nowhere_until_it_is_listed(simulator: Simulator) -> None:
    simulator.faults.set("unlist", "ETHUSDT,币安人生USDT")
    async with link(simulator, "/ws/ethusdt@markPrice@1s") as websocket:
        assert await is_silent(websocket)
        for symbols in await symbols_of(simulator):
            assert "BTCUSDT" in symbols
            assert not {"ETHUSDT", "币安人生USDT"} & symbols
        for name in ("premiumIndex", "fundingRate"):
            answer = await get(simulator, f"/fapi/v1/{name}?symbol=ETHUSDT")
            assert (answer.status_code, answer.json()["code"]) == (400, -1121)

        simulator.set_row("ETHUSDT", rate="0.00420000")  # a listing may be prepared
        simulator.faults.clear("unlist")
        assert (await tick(websocket)).rate == "0.00420000"
        assert all({"ETHUSDT", "币安人生USDT"} <= each for each in await symbols_of(simulator))


async def test_an_unlisted_symbol_may_be_unlisted_from_the_start() -> None:
    settings = SimulatorSettings(symbols=40, period=0.05, faults=("unlist=BTCUSDT",))
    async with Simulator(settings) as simulator:
        assert "BTCUSDT" not in simulator.universe.listings


async def test_a_cap_changes_in_funding_info_and_holds_the_rate(simulator: Simulator) -> None:
    simulator.faults.set("cap", "BTCUSDT:0.00001,AVAXUSDT:0.00750")
    info = {each["symbol"]: each for each in await rest(simulator, "fundingInfo")}
    assert info["BTCUSDT"]["adjustedFundingRateCap"] == "0.00001"
    assert info["BTCUSDT"]["adjustedFundingRateFloor"] == "-0.00001"
    assert info["AVAXUSDT"]["adjustedFundingRateCap"] == "0.00750"  # was not listed before
    async with link(simulator, BITCOIN) as websocket:
        assert abs(float((await tick(websocket)).rate or 1)) <= 0.00001
    simulator.faults.clear("cap")
    info = {each["symbol"]: each for each in await rest(simulator, "fundingInfo")}
    assert info["BTCUSDT"]["adjustedFundingRateCap"] == "0.00300"
    assert "AVAXUSDT" not in info


async def test_a_settlement_is_pulled_here_and_the_normal_grid_goes_on(
    simulator: Simulator,
) -> None:
    async with link(simulator, "/stream?streams=" + "/".join(SETTLING)) as websocket:
        regular = await collect(websocket, 1)
        before = simulator.now()
        simulator.faults.set("settle", 1)
        pulled = await collect(websocket, 1, lambda row: row.next_funding_time < before + 1100)
        moment = pulled["BTCUSDT"][0].next_funding_time
        assert before + 950 <= moment <= before + 1100
        at_settlement = [
            each
            for each in await rows_until(websocket, "BTCUSDT", moment + 200)
            if each.event_time >= moment - 200
        ]
    late = [each for each in at_settlement if each.event_time >= moment > each.event_time - 20]
    rolled = [each for each in at_settlement if each.next_funding_time > moment]
    assert late
    assert late[0].next_funding_time == moment  # E has passed T, T rolls in the next row
    assert rolled
    assert rolled[0].next_funding_time == regular["BTCUSDT"][0].next_funding_time
    assert len({each.rate for each in at_settlement}) == 1  # r does not reset
    past = await rest(simulator, "fundingRate?symbol=BTCUSDT&limit=1")
    assert 0 <= past[0]["fundingTime"] - moment <= 12
    assert past[0]["fundingRate"] == at_settlement[0].rate


SETTLING = ("btcusdt@markPrice@1s", "btcusdt_261225@markPrice@1s", "xauusdt@markPrice@1s")


async def collect(websocket: Any, count: int, fits: Any = lambda _: True) -> dict[str, list[Tick]]:
    """The first rows that fit of both funded symbols; the quarterly never has a T."""
    found: dict[str, list[Tick]] = {"BTCUSDT": [], "XAUUSDT": []}
    while min(map(len, found.values())) < count:
        row = await tick(websocket)
        if row.symbol.startswith("BTCUSDT_"):
            assert row.next_funding_time == 0
        elif fits(row):
            found[row.symbol].append(row)
    return found


async def rows_until(websocket: Any, symbol: str, end: int) -> list[Tick]:
    rows: list[Tick] = []
    while not rows or rows[-1].event_time < end:
        rows.append(await tick(websocket, lambda row: row.symbol == symbol))
    return rows


async def test_a_settlement_can_be_taken_back(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        regular = (await tick(websocket)).next_funding_time
        left = (regular - simulator.now()) // 1000  # s; the true one may be minutes away
        simulator.faults.set("settle", min(600, left // 2))
        await tick(websocket, lambda row: row.next_funding_time < regular)
        simulator.faults.clear("settle")
        await tick(websocket, lambda row: row.next_funding_time == regular)


async def test_where_the_two_disagree_rest_says_more_than_the_stream(
    simulator: Simulator,
) -> None:
    simulator.set_row("BTCUSDT", mark="100.00000000", rate="0.00010000")
    simulator.set_row("ETHUSDT", mark="50.00000000", rate="")
    simulator.faults.set("disagree", "BTCUSDT")
    body = await rest(simulator, "premiumIndex?symbol=BTCUSDT")
    assert (body["markPrice"], body["lastFundingRate"]) == ("110.00000000", "0.01010000")
    whole = {each["symbol"]: each for each in await rest(simulator, "premiumIndex")}
    assert whole["BTCUSDT"]["markPrice"] == "110.00000000"
    assert whole["ETHUSDT"]["markPrice"] == "50.00000000"
    async with link(simulator, BITCOIN) as websocket:
        row = await tick(websocket)
    assert (row.mark, row.rate) == ("100.00000000", "0.00010000")

    simulator.faults.set("disagree", "ETHUSDT")
    body = await rest(simulator, "premiumIndex?symbol=ETHUSDT")
    assert (body["markPrice"], body["lastFundingRate"]) == ("55.00000000", "")
    assert (await rest(simulator, "premiumIndex?symbol=BTCUSDT"))["markPrice"] == "100.00000000"


async def test_rest_that_hangs_answers_those_who_waited_and_the_stream_goes_on(
    simulator: Simulator,
) -> None:
    simulator.faults.set("rest-hang")
    before = len(asyncio.all_tasks())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rest(simulator, "time"), QUIET)
    await until(lambda: len(asyncio.all_tasks()) <= before)  # who gave up is not waited for
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
    waiting = asyncio.create_task(rest(simulator, "time"))
    await until(lambda: simulator.counts.rest["/fapi/v1/time"] == 2)
    assert (await switch(simulator, "faults?rest-hang=off"))["faults"] == {}
    served = (await asyncio.wait_for(waiting, DEADLINE))["serverTime"]
    assert abs(served - simulator.now()) < 5000


async def test_rest_has_what_the_stream_dropped(simulator: Simulator) -> None:
    simulator.faults.set("drop", "BTCUSDT")
    body = await rest(simulator, "premiumIndex?symbol=BTCUSDT")
    assert abs(body["time"] - simulator.now()) < 5000


async def test_rest_is_refused_whole_with_any_status(simulator: Simulator) -> None:
    simulator.faults.set("rest-down", 418)
    answers: list[httpx.Response] = [
        await get(simulator, f"/fapi/v1/{name}") for name in ("ping", "premiumIndex", "nonesuch")
    ]
    assert {each.status_code for each in answers} == {418}
    assert {each.headers["Retry-After"] for each in answers} == {"5"}
