import asyncio
import itertools
import json
import time

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import Event

from bot.simulator.server import Simulator, SimulatorSettings
from tests.simulator.wire import (
    BITCOIN,
    DEADLINE,
    FAST,
    frame,
    get,
    is_silent,
    legacy,
    link,
    tick,
)


async def test_the_array_stream_is_two_frames_whose_every_row_is_read(
    simulator: Simulator,
) -> None:
    listings = simulator.universe.listings
    async with link(simulator) as websocket:
        frames = [await frame(websocket) for _ in range(6)]
    tradfi = [each for each in frames if each.ticks[0].symbol == "XAUUSDT"]
    crypto = [each for each in frames if each not in tradfi]
    coin_margined = sum(each.coin_margined for each in listings.values())

    assert len(tradfi) == len(crypto) == 3
    for each in crypto:
        assert each.skipped == {"coin-m": coin_margined}
        assert {"BTCUSDT", "币安人生USDT", "MATICUSDT"} <= {row.symbol for row in each.ticks}
        assert not any(listings[row.symbol].tradfi for row in each.ticks)
    for each in tradfi:
        assert not each.skipped
        assert all(listings[row.symbol].tradfi for row in each.ticks)


async def test_event_times_rise_row_by_row_and_follow_the_venues_clock(
    simulator: Simulator,
) -> None:
    async with link(simulator, BITCOIN) as websocket:
        times = [(await tick(websocket)).event_time for _ in range(5)]
    assert times == sorted(set(times))
    assert abs(times[-1] - simulator.now()) < 1000


@pytest.mark.parametrize(
    "target",
    ["/ws/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@markPrice@1s", "/ws/币安人生usdt@markPrice@1s"],
)
async def test_a_non_ascii_name_is_streamed_by_address(simulator: Simulator, target: str) -> None:
    async with link(simulator, target) as websocket:
        assert (await tick(websocket)).symbol == "币安人生USDT"


async def test_a_non_ascii_name_is_streamed_by_request_in_raw_utf_8(simulator: Simulator) -> None:
    async with link(simulator, "/stream") as websocket:
        name = "人生k线usdt@markPrice@1s"
        request = {"method": "SUBSCRIBE", "params": [name], "id": 7}
        await websocket.send(json.dumps(request, ensure_ascii=False))
        assert await websocket.recv() == '{"result":null,"id":7}'
        row = json.loads(await websocket.recv())
    assert (row["stream"], row["data"]["s"]) == (name, "人生K线USDT")


async def test_three_second_streams_come_a_third_as_often(simulator: Simulator) -> None:
    async with link(simulator, "/ws/btcusdt@markPrice") as websocket:
        times = [(await tick(websocket)).event_time for _ in range(4)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 120  # three periods of 50 ms, less the jitter of E


async def test_unsubscribing_ends_the_rows(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
        await websocket.send('{"method":"UNSUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":1}')
        assert await is_silent(websocket)


@pytest.mark.parametrize("target", ["/ws", "/stream", "/public/ws", "/public/stream"])
async def test_legacy_and_public_routes_acknowledge_and_stay_silent(
    simulator: Simulator, target: str
) -> None:
    async with legacy(simulator, target) as websocket:
        await websocket.send('{"method":"SUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":1}')
        assert await websocket.recv() == '{"result":null,"id":1}'
        assert await is_silent(websocket)


@pytest.mark.parametrize("name", ["BTCUSDT@markPrice@1s", "nonesuch@markPrice@1s"])
async def test_a_bad_name_is_acknowledged_and_never_delivers(
    simulator: Simulator, name: str
) -> None:
    async with link(simulator, f"/ws/{name}") as websocket:
        assert await is_silent(websocket)


async def test_an_unknown_path_is_404(simulator: Simulator) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with link(simulator, "/nonesuch"):
            pass
    assert refused.value.response.status_code == 404


async def test_sixteen_messages_at_once_cost_the_connection(simulator: Simulator) -> None:
    async with link(simulator, "/ws") as websocket:
        for number in range(16):
            await websocket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
        answers = [json.loads(await websocket.recv())["id"] for _ in range(15)]
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
    assert answers == list(range(15))
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Too many requests")
    assert simulator.counts.busiest_second == 16


async def test_the_1025th_stream_is_answered_and_costs_the_connection(
    simulator: Simulator,
) -> None:
    async with link(simulator, "/ws") as websocket:
        names = json.dumps([f"s{n}@markPrice" for n in range(1025)])
        await websocket.send(f'{{"method":"SUBSCRIBE","params":{names},"id":1}}')
        answer = '{"error":{"code":4,"msg":"Too many subscriptions"}}'
        assert await websocket.recv() == answer
        with pytest.raises(ConnectionClosed, match=r"1008.*Invalid request"):
            await websocket.recv()
    assert [close.code for close in simulator.counts.closed] == [1008]


async def test_a_connection_ends_at_its_lifetime() -> None:
    settings = SimulatorSettings(symbols=40, period=0.05, lifetime=0.2)
    async with Simulator(settings) as simulator, link(simulator) as websocket:
        async with asyncio.timeout(DEADLINE):
            await websocket.wait_closed()
        assert websocket.close_code == 1001


async def test_the_server_pings_with_its_time() -> None:
    payloads: asyncio.Queue[bytes] = asyncio.Queue()

    class Listening(ClientConnection):
        def process_event(self, event: Event) -> None:
            if isinstance(event, WireFrame) and event.opcode is Opcode.PING:
                payloads.put_nowait(bytes(event.data))
            super().process_event(event)

    settings = SimulatorSettings(symbols=40, ping_every=0.02)
    async with Simulator(settings) as simulator:
        url = simulator.stream_url + "/ws"
        async with connect(url, proxy=None, create_connection=Listening), asyncio.timeout(DEADLINE):
            await payloads.get()
            second = await payloads.get()  # comes only after the pong of the first
        assert abs(int(second) - simulator.now()) < 5000


async def test_a_settlement_falls_as_many_seconds_after_the_start_as_set() -> None:
    settings = SimulatorSettings(symbols=40, period=0.05, settlement_in=1)
    async with Simulator(settings) as simulator, link(simulator, BITCOIN) as websocket:
        first = await tick(websocket)
        rolled = await tick(websocket, lambda row: row.next_funding_time > first.next_funding_time)
    assert 0 < first.next_funding_time - first.event_time < 2000
    assert 0 < rolled.event_time - first.next_funding_time < 1000
    assert rolled.next_funding_time - first.next_funding_time == 8 * 3_600_000


async def test_rest_says_the_same_as_the_stream_and_states_its_weight(
    simulator: Simulator,
) -> None:
    simulator.set_row("BTCUSDT", rate="0.00050000", mark="85840.40234633", index="85882.44043478")
    response = await get(simulator, "/fapi/v1/premiumIndex?symbol=BTCUSDT")
    async with link(simulator, BITCOIN) as websocket:
        row = await tick(websocket)

    body = response.json()
    assert (row.rate, row.mark, row.index) == ("0.00050000", "85840.40234633", "85882.44043478")
    assert (body["lastFundingRate"], body["markPrice"], body["indexPrice"]) == (
        row.rate,
        row.mark,
        row.index,
    )
    assert response.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    assert simulator.counts.rest == {"/fapi/v1/premiumIndex": 1}
    assert simulator.counts.most_weight == 1


async def test_a_row_that_is_freed_follows_the_model_again(simulator: Simulator) -> None:
    simulator.set_row("ETHUSDT", rate="0.5")
    async with link(simulator, "/ws/ethusdt@markPrice@1s") as websocket:
        await tick(websocket, lambda row: row.rate == "0.5")
        simulator.free_row("ETHUSDT")
        await tick(websocket, lambda row: row.rate != "0.5")


async def test_connects_are_counted(simulator: Simulator) -> None:
    for _ in range(3):
        async with link(simulator, "/ws"):
            pass
    assert len(simulator.counts.connects) == 3
    assert simulator.counts.busiest(300) == 3


async def test_stopping_closes_the_clients_and_the_port() -> None:
    async with Simulator(FAST) as simulator:
        websocket = await link(simulator)
        began = time.monotonic()
    await websocket.wait_closed()
    assert websocket.close_code == 1001
    assert time.monotonic() - began < 10
    with pytest.raises(OSError, match="Connect"):
        await link(simulator)


async def test_a_wrong_fault_in_the_settings_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="no fault is called 'slient'"):
        await Simulator(SimulatorSettings(symbols=40, faults=("slient",))).start()


async def test_the_script_of_the_crossers_begins_with_the_start() -> None:
    simulator = Simulator(FAST)
    built = simulator.market.started
    await asyncio.sleep(0.02)
    async with simulator:
        assert built < simulator.market.started <= simulator.now()
