"""A small HTTP/1.1 server on loopback that can also misbehave."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

_LARGEST_HEAD = 1 << 18  # bytes (tdlib, HttpReader.h, MAX_TOTAL_HEADERS_LENGTH)


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 closes the connection without one.

    `cut` ends the connection after half of the head or of the body. `reset` ends it with an RST
    instead of a FIN. `surplus` is what the announced length of the body has over the true one.
    `pause` is waited between the bytes of the answer.
    """

    status: int
    body: bytes = b""
    delay: float = 0.0
    cut: Literal["", "head", "body"] = ""
    reset: bool = False
    surplus: int = 0
    pause: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


class LoopbackServer:
    """Answers with what `reply` makes of a request."""

    def __init__(self) -> None:
        self.doomed = 0  # how many of the next connections are reset as soon as they come about
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
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, limit=_LARGEST_HEAD
        )
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
            if self.doomed:
                self.doomed -= 1
                _linger_not(writer)
                return
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        except asyncio.LimitOverrunError:
            writer.write(b"HTTP/1.1 431 -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
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
        if reply.reset:
            _linger_not(writer)
        if not reply.status:
            return False
        await _write(writer, reply)
        return not reply.cut and not reply.surplus


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    kind = "text/html" if reply.body.startswith(b"<") else "application/json"
    length = str(len(reply.body) + reply.surplus)
    headers = (("Content-Type", kind), ("Content-Length", length), *reply.headers)
    named = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {reply.status} -\r\n{named}\r\n".encode()
    if reply.cut == "head":
        head, body = head[: len(head) // 2], b""
    else:
        body = reply.body[: len(reply.body) // 2] if reply.cut else reply.body
    if not reply.pause:
        writer.write(head + body)
    else:
        for byte in head + body:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(reply.pause)
    await writer.drain()


def _linger_not(writer: asyncio.StreamWriter) -> None:
    """Closing now sends an RST."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
