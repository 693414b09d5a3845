import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus

from bot.simulator.distortions import MALFORMED
from bot.simulator.server import Simulator
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
)


async def test_silent_stops_the_rows_and_pongs_go_on(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
        simulator.faults.set("silent")
        assert await is_silent(websocket)
        async with asyncio.timeout(DEADLINE):
            await (await websocket.ping())
        simulator.faults.clear("silent")
        await tick(websocket)


async def test_a_black_hole_neither_reads_nor_writes_nor_closes(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
        simulator.faults.set("black-hole")
        assert await is_silent(websocket)
        pong = await websocket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), QUIET)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link(simulator), QUIET)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(get(simulator, "/fapi/v1/time"), QUIET)
        assert websocket.close_code is None

        assert (await switch(simulator, "faults?black-hole=off"))["faults"] == {}
        await asyncio.wait_for(pong, DEADLINE)
        await tick(websocket)


async def test_accept_then_close_accepts_then_closes(simulator: Simulator) -> None:
    simulator.faults.set("accept-then-close")
    async with link(simulator) as websocket, asyncio.timeout(DEADLINE):
        await websocket.wait_closed()
    assert websocket.close_code == 1008
    assert len(simulator.counts.connects) == 1


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(451, None), (403, None), (429, "30"), (418, "30"), (503, None), (599, None)],
)
async def test_handshakes_are_refused_with_the_status_asked_for(
    simulator: Simulator, status: int, retry_after: str | None
) -> None:
    simulator.faults.set("refuse", status)
    simulator.faults.set("retry-after", 30)
    with pytest.raises(InvalidStatus) as refused:
        await link(simulator)
    assert refused.value.response.status_code == status
    assert refused.value.response.headers.get("Retry-After") == retry_after
    assert simulator.counts.refused == 1
    assert (await get(simulator, "/fapi/v1/time")).status_code == 200


async def test_close_ends_every_connection_once_with_its_code(simulator: Simulator) -> None:
    async with link(simulator) as one, link(simulator) as two:
        simulator.faults.set("close", 1012)
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(one.wait_closed(), two.wait_closed())
        assert (one.close_code, two.close_code) == (1012, 1012)
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)


async def test_reset_ends_a_connection_without_a_closing_handshake(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
        simulator.faults.set("reset")
        async with asyncio.timeout(DEADLINE):
            await websocket.wait_closed()
        assert websocket.close_code == 1006


async def test_repeated_frames_carry_the_same_event_time(simulator: Simulator) -> None:
    simulator.faults.set("repeat")
    async with link(simulator, BITCOIN) as websocket:
        times = [(await tick(websocket)).event_time for _ in range(4)]
    assert times[0] == times[1] < times[2] == times[3]


async def test_reordered_rows_go_back_in_time_for_the_same_symbol(simulator: Simulator) -> None:
    simulator.faults.set("reorder")
    async with link(simulator) as websocket:
        times = [
            (await tick(websocket, lambda row: row.symbol == "BTCUSDT")).event_time
            for _ in range(4)
        ]
    assert times[1] < times[0] < times[3] < times[2]


async def test_broken_frames_come_among_good_ones(simulator: Simulator) -> None:
    simulator.faults.set("broken")
    async with link(simulator, BITCOIN) as websocket:
        with pytest.raises(ValueError, match="truncated"):
            await frame(websocket)
        assert (await frame(websocket)).ticks


async def test_malformed_frames_come_among_good_ones(simulator: Simulator) -> None:
    simulator.faults.set("malformed")
    async with link(simulator, BITCOIN) as websocket:
        texts = [await websocket.recv() for _ in range(len(MALFORMED) + 1)]
    assert texts[:-1] == list(MALFORMED)
    assert json.loads(texts[-1])["s"] == "BTCUSDT"


async def test_foreign_events_come_among_good_ones(simulator: Simulator) -> None:
    simulator.faults.set("foreign")
    async with link(simulator, BITCOIN) as websocket:
        frames = [await frame(websocket) for _ in range(4)]
    assert [len(each.ticks) for each in frames] == [0, 0, 0, 1]
    assert all(each.skipped == {"foreign": 1} for each in frames[:3])


async def test_a_clock_jump_moves_the_event_time_alone(simulator: Simulator) -> None:
    simulator.faults.set("clock-jump", 3_600_000)
    async with link(simulator, BITCOIN) as websocket:
        row = await tick(websocket)
    assert 3_590_000 < row.event_time - simulator.now() < 3_601_000
    served = (await get(simulator, "/fapi/v1/time")).json()["serverTime"]
    assert abs(served - simulator.now()) < 1000


async def test_a_dropped_symbol_has_no_rows(simulator: Simulator) -> None:
    simulator.faults.set("drop", "BTCUSDT")
    async with link(simulator) as array, link(simulator, BITCOIN) as single:
        assert await is_silent(single)
        rows = {row.symbol for _ in range(4) for row in (await frame(array)).ticks}
    assert "ETHUSDT" in rows
    assert "BTCUSDT" not in rows


async def test_a_delisted_symbol_streams_on_without_funding_and_settles(
    simulator: Simulator,
) -> None:
    simulator.faults.set("delist", "BTCUSDT")
    async with link(simulator, BITCOIN) as websocket:
        row = await tick(websocket)
        assert (row.rate, row.next_funding_time) == ("0.00000000", 0)
        info = (await get(simulator, "/fapi/v1/exchangeInfo")).json()
        status = {each["symbol"]: each["status"] for each in info["symbols"]}
        assert (status["BTCUSDT"], status["ETHUSDT"]) == ("SETTLING", "TRADING")
        simulator.faults.clear("delist")
        await tick(websocket, lambda row: row.next_funding_time > 0)


async def test_an_interval_changes_in_the_stream_and_in_funding_info(
    simulator: Simulator,
) -> None:
    simulator.faults.set("interval", "BTCUSDT:1")
    async with link(simulator, BITCOIN) as websocket:
        row = await tick(websocket)
    info = (await get(simulator, "/fapi/v1/fundingInfo")).json()
    assert row.next_funding_time - row.event_time <= 3_600_000
    assert {each["symbol"]: each["fundingIntervalHours"] for each in info}["BTCUSDT"] == 1


@pytest.mark.parametrize("status", [503, 429, 451])
async def test_rest_down_answers_everything_with_its_status(
    simulator: Simulator, status: int
) -> None:
    simulator.faults.set("rest-down", status)
    response = await get(simulator, "/fapi/v1/time")
    assert response.status_code == status
    assert response.headers.get("Retry-After") == ("5" if status == 429 else None)
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
