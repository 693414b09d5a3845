import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest

from bot.ops import health
from bot.ops.health import HealthServer, pages
from bot.ops.judgement import Work
from bot.ops.metrics import build_metrics

WELL = Work(turn_age=0.5, row_age=0.5, decided_age=0.5)


@pytest.fixture
def works() -> list[Work]:
    """Its last entry is how the bot works now."""
    return [WELL]


@pytest.fixture
async def server(works: list[Work]) -> AsyncIterator[HealthServer]:
    served = pages(lambda: works[-1], build_metrics("1.2.3").exposition)
    server = HealthServer("127.0.0.1", 0, served)
    assert await server.start()
    yield server
    await server.close()


async def ask(server: HealthServer, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{server.port}{path}")


@asynccontextmanager
async def connected(server: HealthServer) -> AsyncIterator[asyncio.StreamWriter]:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(server: HealthServer, request: bytes, *, ended: bool = True) -> bytes:
    """Everything that comes back for these bytes, to the end of the connection."""
    received = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with suppress(ConnectionError):
        writer.write(request)
        if ended:
            writer.write_eof()
        async with asyncio.timeout(10):
            while piece := await reader.read(65_536):
                received += piece
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return received


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/healthz", 200, "ok\n"),
        ("GET", "/healthz?verbose=1", 200, "ok\n"),
        ("HEAD", "/healthz", 200, ""),
        ("GET", "/readyz", 200, "rows flow; messages can be sent\n"),
        ("GET", "/", 404, "Not Found\n"),
        ("GET", "/healthz/../etc/passwd", 404, "Not Found\n"),
        ("POST", "/healthz", 405, "Method Not Allowed\n"),
    ],
)
async def test_a_page_answers(
    server: HealthServer, method: str, path: str, status: int, body: str
) -> None:
    answer = await ask(server, path, method)
    assert (answer.status_code, answer.text) == (status, body)


async def test_a_silent_feed_is_not_ready_but_alive(
    server: HealthServer, works: list[Work]
) -> None:
    works.append(replace(WELL, row_age=20.0))
    answer = await ask(server, "/readyz")
    assert (answer.status_code, answer.text) == (
        503,
        "not ready: no new row for 20 s; messages can be sent\n",
    )
    assert (await ask(server, "/healthz")).status_code == 200


async def test_an_engine_that_is_stuck_is_not_alive(
    server: HealthServer, works: list[Work]
) -> None:
    works.append(replace(WELL, turn_age=11.0))
    answer = await ask(server, "/healthz")
    assert (answer.status_code, answer.text) == (503, "stuck: nothing was decided for 11 s\n")


async def test_the_metrics_are_in_the_format_of_prometheus(server: HealthServer) -> None:
    answer = await ask(server, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'fundingbot_build_info{version="1.2.3"} 1.0' in answer.text


JUNK = {
    "nothing": b"",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "no version": b"GET /healthz\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    "long header": b"GET /healthz HTTP/1.1\r\na: " + b"b" * 100_000 + b"\r\n\r\n",
    "not text": b"\xff\xfe \x00 HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_gets_no_page_and_the_server_goes_on(
    server: HealthServer, junk: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await exchange(server, JUNK[junk])
    status = answer.partition(b"\r\n")[0]
    assert status in (b"", b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 405 Method Not Allowed")
    assert (await ask(server, "/healthz")).status_code == 200
    assert caplog.records == []


async def test_a_slow_request_is_given_up(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_PATIENCE", 0.05)
    assert await exchange(server, b"GET /healthz HTTP/1.1\r\n", ended=False) == b""


async def test_too_many_connections_at_once_are_refused(server: HealthServer) -> None:
    request = b"GET /healthz HTTP/1.1\r\n\r\n"
    async with AsyncExitStack() as stack:
        for _ in range(health._MOST_CONNECTIONS):
            await stack.enter_async_context(connected(server))
        assert await exchange(server, request) == b""
    async with asyncio.timeout(10):
        while not await exchange(server, request):
            pass


async def test_a_busy_port_is_said_in_words_and_stops_nothing(
    server: HealthServer, caplog: pytest.LogCaptureFixture
) -> None:
    second = HealthServer("127.0.0.1", server.port, {})
    with caplog.at_level(logging.WARNING):
        assert not await second.start()
    assert f"cannot listen at 127.0.0.1:{server.port}" in caplog.text
    assert "set HTTP_ADDR" in caplog.text
    assert second.port == 0
    await second.close()


async def test_closing_does_not_wait_for_an_idle_connection() -> None:
    server = HealthServer("127.0.0.1", 0, pages(lambda: WELL, lambda: b""))
    await server.start()
    waiting = asyncio.create_task(exchange(server, b"GET /healthz HTTP/1.1\r\n", ended=False))
    async with asyncio.timeout(10):
        while not server._open:  # noqa: ASYNC110 - the condition is the server's, not an event's
            await asyncio.sleep(0.001)
        await server.close()
        assert await waiting == b""
