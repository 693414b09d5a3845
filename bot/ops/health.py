"""A small HTTP server for probes: `/healthz`, `/readyz` and `/metrics`.

It answers one request a connection and believes nothing that it reads: long, slow or broken
requests end in an answer or a closed connection, and none of them reaches the log.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST

from bot.ops.judgement import Verdict, Work, alive, ready

log = logging.getLogger(__name__)

_LONGEST_LINE = 8_192  # bytes
_MOST_HEADERS = 100
_MOST_CONNECTIONS = 64
_PATIENCE = 5.0  # seconds for a whole request
_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = _PLAIN


Page = Callable[[], Answer]


def pages(work: Callable[[], Work], exposition: Callable[[], bytes]) -> dict[str, Page]:
    """The pages by path.

    Args:
        work: what the bot's health is judged from, now.
        exposition: the metrics in Prometheus' text format.
    """
    return {
        "/healthz": lambda: _judged(alive(work())),
        "/readyz": lambda: _judged(ready(work())),
        "/metrics": lambda: Answer(HTTPStatus.OK, exposition(), CONTENT_TYPE_LATEST),
    }


def _judged(verdict: Verdict) -> Answer:
    status = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, f"{verdict.text}\n".encode())


class HealthServer:
    """Serves pages at an address; host "" is every interface, port 0 any free port."""

    def __init__(self, host: str, port: int, served: dict[str, Page]) -> None:
        self._host = host
        self._port = port
        self._pages = served
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens at; 0 where it does not listen."""
        if self._server is None or not self._server.sockets:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> bool:
        """Listens. An address that cannot be used is logged; the bot does without the pages."""
        try:
            self._server = await asyncio.start_server(
                self._converse, self._host or None, self._port, limit=_LONGEST_LINE
            )
        except OSError as error:
            log.warning(
                "No health page: cannot listen at %s:%d (%s); set HTTP_ADDR to a free host:port",
                self._host or "*",
                self._port,
                error.strerror or error,
            )
            return False
        log.info("Health pages at http://%s:%d", self._host or "*", self.port)
        return True

    async def close(self) -> None:
        """Stops listening and ends open connections."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            async with asyncio.timeout(_PATIENCE):
                writer.write(await self._respond(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError):
            writer.transport.abort()  # they went away, or are too slow to be worth a connection
        except asyncio.CancelledError:
            writer.transport.abort()  # closing; nobody waits for this task's result
        finally:
            self._open.discard(task)

    async def _respond(self, reader: asyncio.StreamReader) -> bytes:
        try:
            method, path = await _read_request(reader)
        except ValueError:
            return _encode(_said(HTTPStatus.BAD_REQUEST))
        if method not in ("GET", "HEAD"):
            return _encode(_said(HTTPStatus.METHOD_NOT_ALLOWED))
        page = self._pages.get(path)
        answer = page() if page is not None else _said(HTTPStatus.NOT_FOUND)
        return _encode(answer, with_body=method == "GET")


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str]:
    """The method and the path of a request, read to the end of its headers.

    Raises:
        ValueError: it is no HTTP request, or too long a one.
    """
    line = await reader.readline()  # ValueError beyond the limit
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ValueError("no HTTP/1 request line")
    for _ in range(_MOST_HEADERS):
        if (await reader.readline()).strip() == b"":
            return parts[0], parts[1].partition("?")[0]
    raise ValueError("too many headers")


def _said(status: HTTPStatus) -> Answer:
    return Answer(status, f"{status.phrase}\n".encode())


def _encode(answer: Answer, *, with_body: bool = True) -> bytes:
    allow = "Allow: GET, HEAD\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        f"{allow}Connection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if with_body else b"")
