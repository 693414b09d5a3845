"""A Telegram double that outlives every kill, with a process beside it that lives and is killed."""

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.telegram import Fault, Message, TelegramDouble
from tests.torture.ledger import Alert
from tests.torture.swings import ADMIN, CHATS, FORUM, TOPICS, Step
from tests.torture.typists import Typists
from tests.torture.verdict import Unit, Verdict

ROOT = Path(__file__).parents[2]
LONGEST_LINE = 1 << 28  # bytes
# What befalls a request now and then. The program's time is fifty times as fast: it waits 0.2 s.
FAULTS = (
    Fault.drop(acted=True), Fault.drop(acted=False), Fault.cut_short(), Fault.html(502, acted=True),
    Fault.html(503), Fault.slow(0.3), Fault.slow(0.02), Fault.slow(0.1), Fault.too_many(1),
    Fault.too_many(20),
)  # fmt: skip


@dataclass
class Lived:
    """What came of one arena."""

    phases: Counter[str] = field(default_factory=Counter)
    doubts: list[Unit] = field(default_factory=list)
    batches: list[list[Step]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)  # by status, the program's own record
    messages: list[Message] = field(default_factory=list)

    def verdict(self) -> Verdict:
        return Verdict(self.messages, self.batches, self.doubts)


async def lived(
    module: str, folder: Path, *arguments: object
) -> AsyncGenerator[dict[str, Any], None]:
    """What a module of lives says, line by line; its errors are shown if it fails."""
    errors = folder / "errors.txt"
    with errors.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, str(folder), *map(str, arguments),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=file, limit=LONGEST_LINE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                yield json.loads(line)
            assert await process.wait() == 0, errors.read_text(encoding="utf-8")[-4_000:]
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def alerts_over_kills(folder: Path, seed: int, rounds: int) -> Lived:
    told = Lived()
    async with TelegramDouble() as telegram:
        _settle_in(telegram)
        trouble = asyncio.create_task(_trouble(telegram, random.Random(seed), CHATS))
        arguments = (telegram.url, telegram.token, seed, rounds)
        async with contextlib.aclosing(
            lived("tests.torture.alert_lives", folder, *arguments)
        ) as lines:
            async for line in lines:
                if "calm" in line:
                    trouble.cancel()
                elif "batches" in line:
                    told.batches = [[Step(*step) for step in batch] for batch in line["batches"]]
                    told.rows = dict(line["rows"])
                else:
                    if not trouble.done():
                        told.phases[line["phase"]] += 1
                    told.doubts += _units(line["doubts"])
        told.messages = telegram.messages
    return told


@dataclass
class Obeyed:
    """What came of commands over kills."""

    phases: Counter[str] = field(default_factory=Counter)
    doubts: Counter[int] = field(default_factory=Counter)  # by chat
    watches: list[list[object]] = field(default_factory=list)  # the program's own record


async def commands_over_kills(
    folder: Path, seed: int, commands: int, rounds: int
) -> tuple[Obeyed, Typists]:
    obeyed, chance = Obeyed(), random.Random(seed)
    async with TelegramDouble() as telegram:
        typists = Typists(telegram, chance)
        trouble = asyncio.create_task(_trouble(telegram, chance, tuple(typists.all), 0.3))
        typing = asyncio.create_task(typists.go_on(commands))
        typing.add_done_callback(lambda _: (folder / "done").touch())
        arguments = (telegram.url, telegram.token, seed, rounds)
        lives = lived("tests.torture.command_lives", folder, *arguments)
        async with contextlib.aclosing(lives) as lines:
            async for line in lines:
                if "calm" in line:
                    trouble.cancel()
                    typists.allowed = commands
                elif "watches" in line:
                    obeyed.watches = line["watches"]
                else:
                    if not trouble.done():
                        obeyed.phases[line["phase"]] += 1
                        typists.allowed = commands * (obeyed.phases.total() + 1) // rounds
                    obeyed.doubts.update(line["doubts"])
        typing.cancel()
        typists.listen()
    return obeyed, typists


def _settle_in(telegram: TelegramDouble) -> None:
    for chat_id in (ADMIN, *CHATS):
        kind = "private" if chat_id > 0 else "supergroup"
        telegram.add_chat(chat_id, kind, topics=TOPICS if chat_id == FORUM else ())


async def _trouble(
    telegram: TelegramDouble, chance: random.Random, chats: Sequence[int], polls: float = 0.0
) -> None:
    """Faults at random times, so many of them of polls."""
    while True:
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        fault = chance.choice(FAULTS)
        if chance.random() < polls:
            telegram.fail_next(fault, method="getUpdates")
        else:
            telegram.fail_next(fault, chat_id=chance.choice(chats))


def _units(doubts: Sequence[Any]) -> list[Unit]:
    """A request's alerts are a unit each; one that tells of none is one as well."""
    return [
        (chat_id, Alert(*alert) if alert else None)
        for chat_id, alerts in doubts
        for alert in alerts or [None]
    ]
