"""What becomes of connections: black holes, ends, rows under way, and what is counted of them."""

import asyncio
import itertools
import json
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bot.simulator.server import Simulator, SimulatorSettings
from tests.simulator.wire import (
    ALL,
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


async def handshake(simulator: Simulator) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A handshake by hand, whose answer is not read yet."""
    reader, writer = await asyncio.open_connection(simulator.host, simulator.port)
    writer.write(
        f"GET /market{BITCOIN} HTTP/1.1\r\nHost: {simulator.host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer


async def test_a_black_hole_keeps_the_tcp_connection_and_says_nothing(
    simulator: Simulator,
) -> None:
    reader, writer = await handshake(simulator)
    async with asyncio.timeout(DEADLINE):
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(1)  # rows flow
    simulator.faults.set("black-hole")
    await asyncio.sleep(QUIET)
    while reader._buffer:  # type: ignore[attr-defined]
        await reader.read(1 << 20)
    writer.write(b"\x89\x80\x00\x00\x00\x00\x88\x80\x00\x00\x00\x00")  # a ping and a close frame
    with pytest.raises(TimeoutError):  # neither pong nor close frame nor the end of the stream
        await asyncio.wait_for(reader.read(1), QUIET * 2)
    writer.close()


async def test_after_a_black_hole_nothing_is_left_of_clients_that_gave_up(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    staying = await link(simulator, BITCOIN)
    await tick(staying)
    leaving = [await link(simulator) for _ in range(3)]
    before = len(asyncio.all_tasks())
    simulator.faults.set("black-hole")
    for each in leaving:
        each.transport.abort()
    for _ in range(3):
        _, writer = await handshake(simulator)
        writer.transport.abort()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(get(simulator, "/fapi/v1/time"), QUIET)
    await until(lambda: len(simulator.counts.attempts) == 7)
    assert simulator.counts.open == 4

    simulator.faults.clear("black-hole")
    await until(lambda: simulator.counts.open == 1)
    await tick(staying)
    assert len(simulator.counts.connects) == 4  # who left during the handshake never came in
    async with link(simulator, BITCOIN) as fresh:
        await tick(fresh)
    await until(lambda: len(asyncio.all_tasks()) < before)
    await staying.close()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_handshake_that_hangs_in_a_black_hole_is_answered_after_it(
    simulator: Simulator,
) -> None:
    simulator.faults.set("black-hole")
    opening = asyncio.ensure_future(link(simulator, BITCOIN).__aenter__())
    await until(lambda: len(simulator.counts.attempts) == 1)
    assert not opening.done()
    simulator.faults.clear("black-hole")
    async with asyncio.timeout(DEADLINE):
        websocket = await opening
    await tick(websocket)
    await websocket.close()


async def test_a_message_read_before_a_black_hole_is_answered_after_it(
    simulator: Simulator,
) -> None:
    async with link(simulator, "/ws") as websocket:
        simulator.faults.set("black-hole")
        await websocket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        assert await is_silent(websocket)
        simulator.faults.clear("black-hole")
        assert await asyncio.wait_for(websocket.recv(), DEADLINE) == '{"result":[],"id":1}'


async def test_a_deed_in_a_black_hole_closes_after_it(simulator: Simulator) -> None:
    async with link(simulator, "/ws") as websocket:
        simulator.faults.set("black-hole")
        simulator.faults.set("close", 1012)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(websocket.wait_closed(), QUIET)
        simulator.faults.clear("black-hole")
        await asyncio.wait_for(websocket.wait_closed(), DEADLINE)
        assert websocket.close_code == 1012


async def test_a_lifetime_cuts_open_connections_and_new_ones_at_their_age(
    simulator: Simulator,
) -> None:
    async with link(simulator, "/ws") as old:
        await asyncio.sleep(0.2)
        began = time.monotonic()
        simulator.faults.set("lifetime", 0.5)
        async with link(simulator, "/ws") as young, asyncio.timeout(DEADLINE):
            await old.wait_closed()
            old_ended = time.monotonic() - began
            await young.wait_closed()
            young_ended = time.monotonic() - began
    assert (old.close_code, young.close_code) == (1001, 1001)
    assert old_ended < young_ended
    assert young_ended >= 0.5
    await until(lambda: simulator.counts.open == 0)
    assert simulator.counts.ended == {"1001 by the venue": 2}


async def test_a_lifetime_that_is_turned_off_again_cuts_nobody(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        simulator.faults.set("lifetime", 0.3)
        simulator.faults.clear("lifetime")
        await asyncio.sleep(0.5)
        await tick(websocket)
        assert websocket.close_code is None


async def test_a_shutdown_is_announced_to_all_and_cuts_those_that_heard_it(
    simulator: Simulator,
) -> None:
    async with link(simulator, "/ws") as idle, link(simulator, "/stream") as combined:
        await until(lambda: simulator.counts.open == 2)
        began = time.monotonic()
        simulator.faults.set("shutdown-notice", 0.5)
        async with asyncio.timeout(DEADLINE), link(simulator, BITCOIN) as later:
            for each in (idle, combined):
                notice = json.loads(await each.recv())
                assert notice.keys() == {"e", "E"}
                assert notice["e"] == "serverShutdown"
                assert abs(notice["E"] - simulator.now()) < 5000
            await asyncio.gather(idle.wait_closed(), combined.wait_closed())
            took = time.monotonic() - began
            await tick(later)
            assert later.close_code is None
    assert (idle.close_code, combined.close_code) == (1001, 1001)
    assert took >= 0.5
    assert simulator.faults.on() == {}


async def test_a_lag_delivers_rows_late_in_order_and_without_loss(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        times = [(await tick(websocket)).event_time]
        simulator.faults.set("lag", 0.6)
        lags = []
        for _ in range(5):
            times.append((await tick(websocket)).event_time)
            lags.append(simulator.now() - times[-1])
        simulator.faults.clear("lag")
        while simulator.now() - times[-1] > 300:
            times.append((await tick(websocket)).event_time)
    assert max(lags) >= 550  # the first ones may have been under way already
    steps = [round((later - earlier) / 50) for earlier, later in itertools.pairwise(times)]
    assert set(steps) == {1}


async def test_what_lags_is_lost_with_its_connection(simulator: Simulator) -> None:
    simulator.faults.set("lag", 0.2)
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket)
    async with link(simulator, BITCOIN) as websocket:
        began = simulator.now()
        assert (await tick(websocket)).event_time >= began - 60


async def test_held_back_frames_are_lost_with_their_switch(simulator: Simulator) -> None:
    async with link(simulator, BITCOIN) as websocket:
        simulator.faults.set("reorder")
        await tick(websocket)
        simulator.faults.clear("reorder")
        times = [(await tick(websocket)).event_time for _ in range(4)]
        simulator.faults.set("reorder")
        times += [(await tick(websocket)).event_time for _ in range(2)]
    assert min(times) == times[0]


async def test_too_many_streams_in_the_address_cost_the_connection() -> None:
    names = "/".join(f"{n:x}" for n in range(1025))  # an address is 8 KiB at most
    async with (
        Simulator(SimulatorSettings(symbols=40)) as simulator,
        link(simulator, f"/ws/{names}") as websocket,
        asyncio.timeout(DEADLINE),
    ):
        assert await websocket.recv() == '{"error":{"code":4,"msg":"Too many subscriptions"}}'
        with pytest.raises(ConnectionClosed, match=r"1008.*Invalid request"):
            await websocket.recv()
        assert simulator.counts.limits()["streams_per_connection"] == {
            "limit": 1024,
            "most": 1025,
            "kept": False,
        }


async def test_the_ends_of_connections_are_counted_by_who_ended_them(
    simulator: Simulator,
) -> None:
    async with link(simulator):
        pass
    crashing = await link(simulator)
    crashing.transport.abort()
    async with link(simulator) as closed:
        simulator.faults.set("close", 1012)
        await asyncio.wait_for(closed.wait_closed(), DEADLINE)
    await until(lambda: simulator.counts.open == 0)
    assert simulator.counts.ended == {
        "1000 by the client": 1,
        "1006 without a close frame": 1,
        "1012 by the venue": 1,
    }


async def test_what_a_well_behaved_client_did_keeps_every_limit(simulator: Simulator) -> None:
    async with link(simulator, ALL) as websocket:
        await frame(websocket)
        await get(simulator, "/fapi/v1/premiumIndex")
        await get(simulator, "/fapi/v1/fundingInfo")
        counts = (await switch(simulator, "counts"))["counts"]
    most = {name: each["most"] for name, each in counts["limits"].items()}
    assert most == {
        "messages_per_second_and_connection": 0,
        "streams_per_connection": 1,
        "connects_per_5_minutes": 1,
        "weight_per_minute": 10,
        "funding_requests_per_5_minutes": 1,
        "requests_before_retry_after": 0,
    }
    assert all(each["kept"] for each in counts["limits"].values())
    assert counts["open"] == 1
    assert len(counts["connected_at"]) == len(counts["attempted_at"]) == 1


async def test_refused_handshakes_count_as_attempts_but_not_as_connects(
    simulator: Simulator,
) -> None:
    simulator.faults.set("refuse", 503)
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            await link(simulator)
    counts = (await switch(simulator, "counts"))["counts"]
    assert (counts["connects"], counts["connects_in_5_min"], counts["refused"]) == (0, 3, 3)
