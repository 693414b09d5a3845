"""What a running process costs: its memory by phase, and how long its event loop is deaf."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.app.program import Run

_LOOK_EVERY = 0.05  # s


@dataclass
class Phase:
    """`rss` and `deaf` are the greatest seen in it: MB, s."""

    name: str
    began: float
    rss: float = 0.0
    deaf: float = 0.0


@dataclass
class Vitals:
    """Looks at a run all the time. `peak` is the kernel's own high-water mark, MB."""

    run: Run
    phases: list[Phase] = field(default_factory=list)
    peak: float = 0.0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        await self.run.said("Health pages at ", within=30)
        self.phase("start")
        self._tasks = [asyncio.create_task(self._weigh()), asyncio.create_task(self._call())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def phase(self, name: str) -> None:
        """What is seen from now on belongs to it."""
        self.phases.append(Phase(name, time.monotonic()))

    @property
    def words(self) -> str:
        shown = (f"{p.name} {p.rss:.0f} MB, deaf {p.deaf * 1000:.0f} ms" for p in self.phases)
        return f"peak {self.peak:.0f} MB ({'; '.join(shown)})"

    async def _weigh(self) -> None:
        while True:
            text = _status(self.run.pid)
            self.phases[-1].rss = max(self.phases[-1].rss, _field(text, "VmRSS"))
            self.peak = _field(text, "VmHWM")
            await asyncio.sleep(_LOOK_EVERY)

    async def _call(self) -> None:
        """Asks for /healthz again and again: the answer waits for the loop."""
        port = re.findall(r"Health pages at http://[\d.]+:(\d+)", self.run.output)[-1]
        while True:
            phase, began = self.phases[-1], time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await reader.readline()
            phase.deaf = max(phase.deaf, time.monotonic() - began)
            writer.close()
            await asyncio.sleep(_LOOK_EVERY)


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def _field(status: str, name: str) -> float:
    """A field of /proc/<pid>/status that is given in kB, as MB."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, status
    return int(found[1]) / 1024
