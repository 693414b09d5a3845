"""The open connections: what is sent on them, how long they last, how they end."""

import asyncio
import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from bot.simulator.counts import Counts
from bot.simulator.session import Reply, Session

PONG_TIMEOUT = 600.0  # s
GOING_AWAY = 1001
LOST_WITHIN = 0.05  # s; a client that left during a black hole is noticed after it within this
_CLOCK = 0.001  # s; timers may come that much before their time


@dataclass(eq=False)
class Client:
    """One connection; times are those of the loop's clock, s."""

    websocket: ServerConnection
    session: Session
    opened: float
    leave_by: float = inf  # announced by a shutdown notice
    held: Mapping[bool, list[str]] = field(default_factory=lambda: {False: [], True: []})
    late: deque[tuple[float, str]] = field(default_factory=deque)  # frames by when they arrive
    ending: asyncio.TimerHandle | None = None


class Connections:
    """All of them; `now` is the venue's time in ms. To be used in one loop."""

    def __init__(
        self, counts: Counts, now: Callable[[], int], lifetime: float, ping_every: float
    ) -> None:
        self.open: set[Client] = set()
        self._counts = counts
        self._now = now
        self._lifetime = lifetime
        self._ping_every = ping_every
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._hanging: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, websocket: ServerConnection, session: Session) -> None:
        """Holds a conversation to its end."""
        client = Client(websocket, session, asyncio.get_running_loop().time())
        self.open.add(client)
        self._counts.open += 1
        if not self._reachable.is_set():
            websocket.transport.pause_reading()
        self._plan_end(client)
        pinging = asyncio.create_task(self._ping(websocket))
        try:
            await self._converse(client)
        except ConnectionClosed:
            pass
        finally:
            self.open.discard(client)
            self._counts.open -= 1
            self._counts.ended[_ending(websocket)] += 1
            pinging.cancel()
            if client.ending is not None:
                client.ending.cancel()

    async def _converse(self, client: Client) -> None:
        await self._say(client, client.session.greeting())
        async for message in client.websocket:
            await self._reachable.wait()  # what was read in time is answered after the hole
            self._counts.messages += 1
            reply = client.session.answer(message, time.monotonic())
            self._counts.busiest_second = max(self._counts.busiest_second, client.session.busiest)
            await self._say(client, reply)

    async def _say(self, client: Client, reply: Reply) -> None:
        streams = len(client.session.streams)
        self._counts.most_streams = max(self._counts.most_streams, streams)
        await self._reachable.wait()
        if reply.text:
            await client.websocket.send(reply.text)
        if reply.close is not None:
            self._counts.closed.append(reply.close)
            await client.websocket.close(reply.close.code, reply.close.reason)

    async def _ping(self, websocket: ServerConnection) -> None:
        """The venue's own ping: every 3 min, the time as its payload, 10 min for the pong."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(self._ping_every)
                await self._reachable.wait()
                pong = await websocket.ping(str(self._now()))
                try:
                    await asyncio.wait_for(pong, PONG_TIMEOUT)
                except TimeoutError:
                    await websocket.close(1008, "Pong timeout")

    # --- frames

    def send(self, client: Client, frames: list[str], lag: float) -> None:
        """Sends frames, `lag` seconds later if that is set, and never before earlier ones."""
        self._counts.frames += len(frames)
        if not lag and not client.late:
            for frame in frames:
                broadcast((client.websocket,), frame)
        elif frames:
            loop = asyncio.get_running_loop()
            due = loop.time() + lag
            client.late.extend((due, frame) for frame in frames)
            loop.call_at(due, self._deliver, client)

    def hurry(self) -> None:
        """All that is under way arrives now."""
        for client in self.open:
            client.late = deque((0.0, frame) for _, frame in client.late)
            self._deliver(client)

    def _deliver(self, client: Client) -> None:
        now = asyncio.get_running_loop().time() + _CLOCK
        while self._reachable.is_set() and client.late and client.late[0][0] <= now:
            broadcast((client.websocket,), client.late.popleft()[1])

    def forget_held(self) -> None:
        """What was held back to be sent out of order is lost."""
        for client in self.open:
            for frames in client.held.values():
                frames.clear()

    # --- ends

    def set_lifetime(self, seconds: float) -> None:
        """Every connection lasts so long from its opening; those that are older end now."""
        self._lifetime = seconds
        for client in self.open:
            self._plan_end(client)

    def announce_shutdown(self, seconds: float) -> None:
        """Tells the present connections that they end in so many seconds."""
        at = asyncio.get_running_loop().time() + seconds
        for client in self.open:
            client.leave_by = min(client.leave_by, at)
            self._plan_end(client)
            self.send(client, [f'{{"e":"serverShutdown","E":{self._now()}}}'], 0)

    def close_all(self, code: int) -> None:
        for client in self.open:
            self.spawn(self._close(client, code))

    def reset_all(self) -> None:
        """Ends the TCP connections by RST."""
        for client in self.open:
            raw = client.websocket.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.websocket.transport.abort()

    def _plan_end(self, client: Client) -> None:
        if client.ending is not None:
            client.ending.cancel()
        at = min(client.opened + self._lifetime, client.leave_by)
        client.ending = asyncio.get_running_loop().call_at(at, self._end, client)

    def _end(self, client: Client) -> None:
        self.spawn(self._close(client, GOING_AWAY))

    async def _close(self, client: Client, code: int) -> None:
        await self._reachable.wait()
        await client.websocket.close(code)

    # --- the black hole

    def set_black_hole(self, *, on: bool) -> None:
        """Stops or resumes all reading and writing; TCP holds the connections meanwhile."""
        for websocket in (*(client.websocket for client in self.open), *self._hanging):
            if on:
                websocket.transport.pause_reading()
            else:
                websocket.transport.resume_reading()
        if on:
            self._reachable.clear()
            return
        self._reachable.set()
        for client in self.open:
            self._deliver(client)

    async def reach(self, websocket: ServerConnection) -> None:
        """Waits while there is a black hole; a client that left during it is noticed here."""
        while not self._reachable.is_set():
            self._hanging.add(websocket)
            websocket.transport.pause_reading()
            try:
                await self._reachable.wait()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(websocket.wait_closed(), LOST_WITHIN)
            finally:
                self._hanging.discard(websocket)

    # --- tasks

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs beside everything else until `stop`."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _ending(websocket: ServerConnection) -> str:
    """How a connection ended: code, reason, and which side began."""
    protocol = websocket.protocol
    side = "client" if protocol.close_rcvd_then_sent else "venue"
    if protocol.close_rcvd is None and protocol.close_sent is None:
        return "1006 without a close frame"
    return f"{websocket.close_code} {websocket.close_reason or ''}".strip() + f" by the {side}"
