"""What comes to the port: plain HTTP, and handshakes that are let in or refused."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from bot.simulator.connections import Connections
from bot.simulator.counts import Counts
from bot.simulator.faults import Faults
from bot.simulator.rest import Answer, Rest, refusal
from bot.simulator.session import parse_route
from bot.simulator.switchboard import PREFIX, Switchboard


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Entrance:
    """`now()` is the venue's time, ms; `answering` is cleared while REST requests are to hang."""

    now: Callable[[], int]
    rest: Rest
    faults: Faults
    counts: Counts
    connections: Connections
    switchboard: Switchboard
    answering: asyncio.Event = field(default_factory=_open)

    async def process(self, websocket: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None lets a handshake in."""
        path = urlsplit(request.path).path
        if path.startswith(PREFIX):
            return _response(self.switchboard.answer(request.path))
        if path.startswith("/fapi/"):
            return await self._rest(websocket, path, request.path)
        self.counts.attempts.append(time.monotonic())
        self.counts.asked("stream", time.monotonic())
        await self.connections.reach(websocket)
        if "refuse" in self.faults:
            self.counts.refused += 1
            return self._refused("refuse", "stream")
        if parse_route(request.path) is None:
            return websocket.respond(HTTPStatus.NOT_FOUND, "Not Found\n")
        return None

    async def _rest(self, websocket: ServerConnection, path: str, target: str) -> Response:
        self.counts.rest[path] += 1
        self.counts.asked("rest", time.monotonic())
        await self.connections.reach(websocket)
        await self._until_answering(websocket)
        if "rest-down" in self.faults:
            return self._refused("rest-down", "rest")
        answer = self.rest.answer(target, self.now())
        self.counts.most_weight = self.rest.budget.most_weight
        self.counts.most_funding = self.rest.budget.most_funding
        return self._sent(answer, "rest")

    async def _until_answering(self, websocket: ServerConnection) -> None:
        """Waits while REST hangs, or until the client has had enough of it."""
        if self.answering.is_set():
            return
        waits = [
            asyncio.ensure_future(self.answering.wait()),
            asyncio.ensure_future(websocket.wait_closed()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _refused(self, name: str, side: str) -> Response:
        wait = self.faults.number("retry-after", 5)
        return self._sent(refusal(self.faults.number(name), wait), side)

    def _sent(self, answer: Answer, side: str) -> Response:
        if "Retry-After" in answer.headers:
            wait = float(answer.headers["Retry-After"])
            self.counts.told_to_wait(side, wait, time.monotonic())
        return _response(answer)


def _response(answer: Answer) -> Response:
    phrases = {status.value: status.phrase for status in HTTPStatus}
    headers = Headers(answer.headers)
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(answer.body))
    headers["Connection"] = "close"
    return Response(answer.status, phrases.get(answer.status, "Refused"), headers, answer.body)
