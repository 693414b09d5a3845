"""The tap, by itself: what it writes down is what passed, and every end of a connection passes."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bot.simulator.server import Simulator, SimulatorSettings
from tests.chaos.tap import Tap
from tests.chaos.wire import FrameReader, HeadReader

STREAM = "/stream?streams=btcusdt@markPrice@1s"


@pytest.fixture
async def venue() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(symbols=40, period=0.05)) as simulator:
        yield simulator


@pytest.fixture
async def tap(venue: Simulator) -> AsyncIterator[Tap]:
    async with Tap(venue.port).listening() as listening:
        yield listening


def joined(tap: Tap) -> connect:
    return connect(tap.stream_url + STREAM, proxy=None, compression=None)


async def received(connection: ClientConnection, count: int) -> list[int]:
    return [json.loads(await connection.recv())["data"]["E"] for _ in range(count)]


async def test_rows_and_messages_are_written_down_as_they_pass(tap: Tap) -> None:
    async with joined(tap) as connection:
        times = await received(connection, 5)
        await connection.send('{"method":"LIST_SUBSCRIPTIONS","id":3}')
        while "result" not in await connection.recv(decode=True):
            pass
    await tap.wait_for(lambda: tap.links[0].ended, 5)
    link = tap.links[0]
    assert [row.event_time for row in tap.rows][:5] == times
    assert link.rows == len(tap.rows)
    assert [text for _, text in link.sent] == ['{"method":"LIST_SUBSCRIPTIONS","id":3}']
    assert (link.status, link.target) == (101, "/market" + STREAM)
    assert link.left is not None


async def test_no_row_counts_as_delivered_after_the_programs_goodbye(tap: Tap) -> None:
    connection = await joined(tap)
    await received(connection, 2)
    await connection.close()
    delivered = len(tap.rows)
    await asyncio.sleep(0.2)
    assert len(tap.rows) == delivered


async def test_a_refusal_passes_with_its_time(tap: Tap, venue: Simulator) -> None:
    venue.faults.set("refuse", "429")
    venue.faults.set("retry-after", "7")
    with pytest.raises(InvalidStatus):
        await joined(tap)
    assert (tap.links[0].status, tap.links[0].retry_after) == (429, 7.0)


@pytest.mark.parametrize(("fault", "code"), [("close=1001", 1001), ("reset", None)])
async def test_an_end_that_the_venue_makes_passes(
    tap: Tap, venue: Simulator, fault: str, code: int | None
) -> None:
    async with joined(tap) as connection:
        await received(connection, 1)
        venue.faults.set_text(fault)
        with pytest.raises(ConnectionClosed) as closed:
            await received(connection, 1000)
    assert (closed.value.rcvd.code if closed.value.rcvd else None) == code


async def test_a_black_hole_passes_and_so_does_its_end(tap: Tap, venue: Simulator) -> None:
    async with joined(tap) as connection:
        await received(connection, 1)
        venue.faults.set("black-hole")
        pong = asyncio.ensure_future(await connection.ping())
        await asyncio.sleep(0.3)
        assert not pong.done()
        venue.faults.clear()
        await asyncio.wait_for(pong, 5)


async def test_rest_rows_are_written_down_once_they_were_answered(tap: Tap) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(tap.rest_url + "/fapi/v1/premiumIndex")
        await client.get(tap.rest_url + "/fapi/v1/time")
    await tap.wait_for(lambda: len(tap.asked) == 2, 5)
    assert [(each.path, each.status) for each in tap.asked] == [
        ("/fapi/v1/premiumIndex", 200),
        ("/fapi/v1/time", 200),
    ]
    assert len(tap.rows) == len(answer.json())
    assert all(row.rest for row in tap.rows)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_are_read_however_the_bytes_are_cut(size: int) -> None:
    masked = bytes([0x81, 0x82, 1, 2, 3, 4, ord("h") ^ 1, ord("i") ^ 2])
    fragments = b"\x01\x02ab\x89\x00\x80\x01c"  # a ping between the halves of "abc"
    long = b"\x81\x7e\x01\x00" + b"x" * 256
    close = b"\x88\x02\x03\xe9"
    data, reader, found = masked + fragments + long + close, FrameReader(), []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    assert [(frame.opcode, frame.payload) for frame in found] == [
        (1, b"hi"), (9, b""), (1, b"abc"), (1, b"x" * 256), (8, b"\x03\xe9"),
    ]  # fmt: skip


def test_a_head_ends_where_its_empty_line_is() -> None:
    reader = HeadReader()
    assert reader.feed(b"HTTP/1.1 429 Slow down\r\nRetry-Af") == b""
    assert reader.feed(b"ter: 7\r\n\r\nbody") == b"body"
    assert reader.head is not None
    assert (reader.head.status, reader.head.headers) == (429, {"retry-after": "7"})
