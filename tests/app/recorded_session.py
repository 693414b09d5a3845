"""Runs of the real engine, store and journal, fed by hand; and what their recording replays."""

import json
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from bot import __version__
from bot.app.desk import Desk
from bot.app.faults import Faults
from bot.app.live import Live
from bot.app.parts import Parts
from bot.app.recorder import Recorder
from bot.app.rules_source import CREATED, Reading, created_text, replacement
from bot.app.start import restore_desk, restored, restored_engine
from bot.chat.answer import Answer
from bot.chat.request import Request, RequestKind
from bot.market.binance import BrokenFrameError, decode_frame
from bot.market.capture import read_capture
from bot.market.catalog import Catalog, catalog_text
from bot.market.inbox import Inbox, Received
from bot.market.recording_file import RecordingFile, Rotation
from bot.notify.payload import event_of
from bot.ops.metrics import build_metrics
from bot.replay import Summary, event_object, replay
from bot.rules.rule import Rule
from bot.rules.rules_file import RulesFile, read_rules_file
from bot.store.memory import MemoryStore
from bot.store.records import OutboxKind, Watch

ADMIN, GROUP = 7, -100
KEY = "ab" * 16
STALE = 30_000


class Session:
    """One database and one recording over several runs; `wall` is the local clock in µs."""

    def __init__(self, path: Path, rules: str, rotation: Rotation | None = None) -> None:
        self.path = path
        self.store = MemoryStore()
        self.rules = rules
        self.rotation = rotation or Rotation()
        self.time = 0  # ms
        self.updates = 0
        self.group = GROUP
        self.live: Live
        self.recorder: Recorder

    async def start(self) -> None:
        saved = await self.store.load()
        desk = Desk([ADMIN])
        restore_desk(desk, saved, self._file(), self.time)
        engine = restored_engine(desk, saved, STALE)
        self.recorder = Recorder(
            RecordingFile(self.path), self.rotation, wall=lambda: self.time * 1000
        )
        self.recorder.start(engine, restored(saved), KEY)
        faults = Faults(desk.admin_readers)
        metrics = build_metrics(__version__)
        parts = Parts(engine, self.store, desk, faults, metrics, self.recorder)
        self.live = Live(
            parts,
            now=lambda: self.time,
            wall=lambda: self.time,
            wake=lambda: None,
            say_unrecorded=lambda row: None,
        )

        await self.live.note([], {CREATED: created_text(desk.book.file_rules)})

    async def stop(self, *, killed: bool = False) -> None:
        if not killed and self.live.engine.clock:
            await self.live.advance(self.time, everything=True)
        await self.recorder.close()

    async def take(self, *frames: bytes, rejected: int = 0, raw: bool = True) -> None:
        """Frames that came since the last time, as the inbox hands them over."""
        inbox = Inbox(keep_frames=raw)
        for body in frames:
            try:
                frame = decode_frame(body)
            except BrokenFrameError:
                continue
            if frame.ticks:
                self.time = max(self.time, *(tick.event_time for tick in frame.ticks))
                inbox.put(Received(self.time * 1000, body, frame.ticks))
        if inbox._ticks:
            batch = await inbox.take()
            ticks = list(batch.ticks)[rejected:]
            if ticks:
                await self.live.take(ticks, batch.frames)

    async def let_pass(self, milliseconds: int, *, everything: bool = False) -> None:
        self.time += milliseconds
        await self.live.advance(self.time, everything=everything)

    async def edit(self, rules: str) -> None:
        self.rules = rules
        file, seen, path = self._file(), Reading(rules.encode()), Path("rules.yaml")
        await self.live.replace_rules(lambda: replacement(file, seen, self.live, path, ""))

    async def go_back(self, milliseconds: int) -> None:
        """The clock was ahead."""
        self.time -= milliseconds
        await self.live.begin_anew(self.time)

    async def catalog(self, catalog: Catalog) -> None:
        await self.live.replace_catalog(catalog, {"catalog": catalog_text(catalog)})

    async def watch(self, line: str) -> None:
        number = self.updates + 1
        watch = Watch(self.group, None, number, line, self.time, ADMIN)
        await self._apply(Answer(watches=(watch,)))

    async def unwatch(self) -> None:
        watches = list(self.live.desk.watches.values())
        if watches:
            await self._apply(Answer(unwatched=((watches[0].chat_id, watches[0].number),)))

    async def move(self) -> None:
        """The group becomes another one."""
        old, self.group = self.group, self.group - 1
        await self.live.move_chat(old, self.group)

    async def _apply(self, answer: Answer) -> None:
        self.updates += 1
        request = Request(self.updates, self.group, "group", RequestKind.TEXT, text="/x")
        await self.live.apply(request, answer, None)

    def _file(self) -> RulesFile:
        return read_rules_file(self.rules.encode())

    def told(self) -> list[dict[str, Any]]:
        """What was told, in the shape of `replay --json`."""
        rows = sorted(self.store._outbox.rows.values(), key=lambda row: row.id)
        return [event_object(event_of(row)) for row in rows if row.kind is OutboxKind.ALERT]


def replayed(
    *paths: Path, rules: tuple[Rule, ...] | None = None
) -> tuple[list[dict[str, Any]], Summary, list[str]]:
    """Events, summary and warnings of a replay.

    The events as the outbox has them: where the clock goes back, the same thing of an episode may
    be told twice, and is stored once.
    """
    summary, warnings = Summary(), list[str]()
    events: dict[tuple[object, ...], dict[str, Any]] = {}
    for one in replay(read_capture(map(str, paths)), rules, Catalog(), summary, warnings.append):
        key = (one.rule_id, one.fingerprint, one.symbol, one.since, one.kind, one.number)
        events.setdefault(key, event_object(one))
    return list(events.values()), summary, warnings


def files(path: Path) -> list[Path]:
    """All files of a recording, oldest first."""
    stem = path.name.partition(".")[0]
    return [*sorted(set(path.parent.glob(f"{stem}.*")) - {path}), path]


def frames_of(lines: Sequence[bytes]) -> list[bytes]:
    """The lines of a capture without their times."""
    return [line.split(b" ", 1)[1] if line[:1].isdigit() else line for line in lines if line]


async def random_run(
    session: Session,
    frames: list[bytes],
    chance: random.Random,
    more: Callable[[random.Random], Awaitable[None]],
) -> None:
    """Feeds frames with everything between them that can happen to a run."""
    await session.start()
    while frames:
        deed = chance.random()
        if deed < 0.55:
            await session.take(frames.pop(0))
        elif deed < 0.65:
            some, frames[:] = frames[: chance.randint(2, 5)], frames[5:]
            await session.take(*some, rejected=chance.choice((0, 0, 1)))
        elif deed < 0.70:
            await session.take(frames.pop(0), raw=False)
        elif deed < 0.90:
            if session.live.engine.clock:
                everything = chance.random() < 0.2
                await session.let_pass(chance.choice((300, 1000, 1000)), everything=everything)
        else:
            await more(chance)
    await session.stop()


def as_json(events: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(event, sort_keys=True) for event in events]
