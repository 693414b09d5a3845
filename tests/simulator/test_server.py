import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import Event

from bot.market.binance import Frame, decode_frame
from bot.market.tick import Tick
from bot.simulator.server import Simulator, SimulatorSettings

DEADLINE = 30.0  # s; what a test waits for comes within a fraction of it
QUIET = 0.2  # s; four pushes
FAST = SimulatorSettings(symbols=60, period=0.05)
ALL = "/ws/!markPrice@arr@1s"
BITCOIN = "/ws/btcusdt@markPrice@1s"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(FAST) as running:
        yield running


def link(simulator: Simulator, target: str = ALL) -> connect:
    return connect(simulator.stream_url + target, proxy=None, ping_interval=None, close_timeout=1)


def legacy(simulator: Simulator, target: str) -> connect:
    root = simulator.stream_url.removesuffix("/market")
    return connect(root + target, proxy=None, ping_interval=None, close_timeout=1)


async def frame(websocket: ClientConnection) -> Frame:
    async with asyncio.timeout(DEADLINE):
        return decode_frame((await websocket.recv()).encode())  # type: ignore[union-attr]


async def tick(websocket: ClientConnection, fits: Callable[[Tick], bool] = lambda _: True) -> Tick:
    """The first row that fits."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = [row for row in (await frame(websocket)).ticks if fits(row)]
            if found:
                return found[0]


async def is_silent(websocket: ClientConnection) -> bool:
    """Whether nothing more comes once what was on its way has arrived."""
    for _ in range(10):  # frames that were under way; a server that pushes leaves no such pause
        try:
            await asyncio.wait_for(websocket.recv(), QUIET)
        except TimeoutError:
            return True
    return False


async def get(simulator: Simulator, path: str) -> httpx.Response:
    # Without verify httpx reads every root certificate first, for plain HTTP too.
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=DEADLINE) as client:
        return await client.get(simulator.rest_url + path)


async def switch(simulator: Simulator, query: str) -> Any:
    return (await get(simulator, f"/simulator/{query}")).json()


# --- what a healthy venue does


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


# --- faults


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


# --- switchboard


async def test_the_switchboard_turns_faults_and_pins_rows_over_http(simulator: Simulator) -> None:
    assert (await switch(simulator, "faults?silent&refuse=451"))["faults"] == {
        "silent": "",
        "refuse": "451",
    }
    assert (await switch(simulator, "faults?silent=off&refuse=off"))["faults"] == {}
    await switch(simulator, "row?symbol=BTCUSDT&rate=0.00123400&next_funding_time=5")
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket, lambda row: (row.rate, row.next_funding_time) == ("0.00123400", 5))
        await switch(simulator, "row?symbol=BTCUSDT")
        await tick(websocket, lambda row: row.rate != "0.00123400")
    assert (await switch(simulator, "counts"))["counts"]["connects"] == 1


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("faults?slient", 400, "no fault is called 'slient'"),
        ("row?symbol=NOPE&rate=1", 400, "no 'NOPE'"),
        ("row?symbol=BTCUSDT&price=1", 400, "a row has no price"),
        ("row?symbol=BTCUSDT&next_funding_time=soon", 400, "soon"),
        ("elsewhere", 404, "there are faults, row, counts and switches"),
    ],
)
async def test_the_switchboard_says_what_is_wrong(
    simulator: Simulator, query: str, status: int, words: str
) -> None:
    response = await get(simulator, f"/simulator/{query}")
    assert response.status_code == status
    assert words in response.json()["error"]
