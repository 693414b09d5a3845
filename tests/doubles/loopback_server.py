"""A small HTTP/1.1 server on loopback that can also misbehave."""

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 closes the connection without one, `cut` closes it halfway through."""

    status: int
    body: bytes = b""
    delay: float = 0.0
    cut: bool = False


class LoopbackServer:
    """Answers with what `reply` makes of a request."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.go_down()

    async def come_back(self) -> None:
        """Listens, again on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def go_down(self) -> None:
        """Refuses connections, and closes those that are open."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False ends the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        verb, path, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        reply = await self.reply(verb, path, headers.get("content-type", ""), body)
        await asyncio.sleep(reply.delay)
        if not reply.status:
            return False
        kind = "text/html" if reply.body.startswith(b"<") else "application/json"
        writer.write(
            f"HTTP/1.1 {reply.status} -\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(reply.body)}\r\n\r\n".encode()
        )
        writer.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
        await writer.drain()
        return not reply.cut
