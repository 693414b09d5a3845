"""The real program in a process of its own, between a simulated venue and a Telegram double."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bot.simulator.server import Simulator, SimulatorSettings
from tests.doubles.telegram import Message, TelegramDouble

ADMIN = 7
ROOT = Path(__file__).parents[2]
_INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


@dataclass
class Place:
    """One folder with its venue and its Telegram; runs come and go."""

    folder: Path
    venue: Simulator
    telegram: TelegramDouble
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def rules(self) -> Path:
        return self.folder / "rules.yaml"

    def write_rules(self, *rules: str) -> None:
        body = "".join(f"  - {rule}\n" for rule in rules)
        self.rules.write_text(f"version: 1\nrules:\n{body}", encoding="utf-8")

    def start(self, **environment: str) -> "Run":
        return Run(self.folder, self.environment_of(**environment))

    def environment_of(self, **environment: str) -> dict[str, str]:
        """All that a program in this place is told."""
        own = {
            "TELEGRAM_TOKEN": self.telegram.token,
            "TELEGRAM_API_URL": self.telegram.url,
            "BINANCE_STREAM_URL": self.venue.stream_url,
            "BINANCE_REST_URL": self.venue.rest_url,
            "DATABASE_URL": f"sqlite:///{self.folder}/bot.db",
            "RULES_FILE": str(self.rules),
            "ADMINS": str(ADMIN),
            "HTTP_ADDR": "127.0.0.1:0",
            "LOG_LEVEL": "debug",
            "PYTHONPATH": str(ROOT),
        }
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return kept | own | self.environment | environment

    def alerts(self, chat_id: int = ADMIN) -> list[Message]:
        """The messages of a chat that tell of alerts."""
        return [message for message in self.telegram.to(chat_id) if "Rule " in message.text]

    async def heard(self, chat_id: int, words: str, within: float = 15.0) -> Message:
        """Waits for a message with these words; the newest of them."""

        def found() -> list[Message]:
            return [m for m in self.telegram.to(chat_id) if words in m.text]

        await self.telegram.wait_for(found, timeout=within)
        return found()[-1]


class Run:
    """One process of the program."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self.output = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run",
            cwd=self._folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self.ended(10)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        assert self._process is not None
        return self._process.returncode

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        return await self._signalled(signal.SIGTERM, within=5.0)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._signalled(signal.SIGKILL, within=5.0)

    async def ended(self, within: float) -> int:
        """Waits for the end; the exit code."""
        assert self._process is not None
        assert self._reading is not None
        async with asyncio.timeout(within):
            await self._reading
            return await self._process.wait()

    async def said(self, words: str, within: float = 15.0) -> None:
        """Waits until the output holds these words."""
        try:
            async with asyncio.timeout(within):
                while words not in self.output:  # noqa: ASYNC110 - the reader fills it
                    await asyncio.sleep(0.02)
        except TimeoutError:
            said = f"not within {within} s; said: {self.output[-2000:]}"
            raise AssertionError(said) from None

    async def _signalled(self, number: int, within: float) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return await self.ended(within)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.output += line.decode()


@asynccontextmanager
async def a_place(folder: Path) -> AsyncIterator[Place]:
    """A quiet market with the admin's private chat known to Telegram."""
    settings = SimulatorSettings(symbols=40, period=0.25)
    async with Simulator(settings) as venue, TelegramDouble() as telegram:
        telegram.add_chat(ADMIN, "private", "Admin")
        quiet(venue)
        yield Place(folder, venue, telegram)


def quiet(venue: Simulator) -> None:
    """Pins what the script of the simulated market would move."""
    for crosser in venue.universe.crossers:
        venue.set_row(crosser.symbol, mark="100", index="100", rate="0.00010000")
