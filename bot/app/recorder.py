"""The journal that becomes a recording: everything that enters the engine, as lines of a file.

It never waits for the disk and never raises into what it records.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bot import __version__
from bot.alerts.changes import SampleKept, StateChange
from bot.alerts.engine import Engine
from bot.alerts.recorded import InForce, Start, rules_bodies, samples_bodies, states_bodies
from bot.market.catalog import Catalog
from bot.market.inbox import Received
from bot.market.recording import (
    MAX_LINE,
    End,
    Head,
    Missing,
    catalog_line,
    control_line,
    rows_lines,
)
from bot.market.recording_file import RecordingFile, Rotation
from bot.market.recording_writer import RecordingWriter
from bot.market.tick import Tick
from bot.rules.plain import FILE, RulesChange, aliased, difference, plain
from bot.rules.rule import Rule

KEY = "recording_key"  # the fact with the secret behind the aliases of chats' watches
CLOSE_WITHIN = 2.0  # s
_log = logging.getLogger(__name__)
_Told = Callable[[str | None], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a run goes on with, as its engine was given it."""

    states: Sequence[StateChange] = ()
    samples: Sequence[SampleKept] = ()
    alive_at: int = 0  # ms


class Recorder:
    """A `Journal`. `told` hears why the disk refuses, and None when it takes lines again."""

    def __init__(
        self,
        file: RecordingFile,
        rotation: Rotation,
        *,
        with_rules: bool = True,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """`wall`: the local clock, µs since 1970.

        `with_rules` False: the engine's rules only say what is wanted of the market.
        """
        self.path = file.path
        self.told: _Told = _log_trouble
        self.frames = 0
        self.rows_taken = 0
        self.missed = 0  # entries that the recording lacks
        self._wall = wall
        self._every = rotation.every
        self._head = file.head
        self._file = file
        self._engine: Engine | None = None
        self._with_rules = with_rules
        self._key = b""
        self._book: Sequence[Rule] | None = None  # as last written; None: the next is written whole
        self._missing: Missing | None = None
        self._closed = False
        self._logged: set[type[Exception]] = set()
        loop = asyncio.get_running_loop()

        def pass_on(problem: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                loop.call_soon_threadsafe(self.told, problem)

        self.writer = RecordingWriter(file, rotation, pass_on)

    def start(self, engine: Engine, restored: Restored, key: str) -> None:
        """The first lines of a run; the engine is as it was restored and has decided nothing.

        `key` is the secret behind the aliases.
        """
        self._engine, self._key = engine, key.encode()
        at = self._wall()
        if self._head is None:
            self._head = Head(secrets.token_hex(8), 0, at // 1000, program=__version__)
            self._file.head = self._head
            self.writer.put([control_line(at, "head", self._head)])
        self.writer.make(self._start_lines(at, restored, self._in_force_lines(at)))
        self._book = engine.rules

    def rows(self, ticks: Sequence[Tick], frames: Sequence[Received]) -> None:
        with self._guarded(len(frames)):
            self.frames += len(frames)
            self.rows_taken += len(ticks)
            self._put(rows_lines(self._wall(), ticks, frames), len(frames))

    def advance(self, now: int) -> None:
        with self._guarded():
            self._rotate_if_due()
            self._put([control_line(self._wall(), "advance", now)])

    def anew(self, now: int) -> None:
        with self._guarded():
            self._put([control_line(self._wall(), "anew", now)])

    def catalog(self, catalog: Catalog) -> None:
        with self._guarded():
            self._put([catalog_line(self._wall(), catalog)])

    def rules(self, rules: Sequence[Rule]) -> None:
        with self._guarded():
            if self._with_rules:
                self._change(rules, None)

    def renamed(self, names: Mapping[str, str], rules: Sequence[Rule]) -> None:
        with self._guarded():
            if self._with_rules:
                self._change(rules, aliased(names, self._alias))

    async def close(self) -> None:
        """Writes what waits, and that this is the end."""
        if self._closed:
            return
        self._closed = True
        with self._guarded():
            self._end()
        await asyncio.to_thread(self.writer.close, CLOSE_WITHIN)
        if unwritten := self.writer.unwritten:
            self.missed += unwritten
            _log.warning(
                "The last %d lines could not be written to the recording",
                unwritten,
                extra={"action": "recording_cut"},
            )

    def _end(self) -> None:
        if self._engine is None:
            return
        self._close_gap()
        if self._missing is None:
            self.writer.put([control_line(self._wall(), "end", End())])

    def _start_lines(
        self, at: int, restored: Restored, in_force: Iterator[bytes]
    ) -> Iterator[bytes]:
        assert self._engine is not None
        said = Start(self._engine.stale_after, restored.alive_at, __version__)
        yield control_line(at, "start", said)
        yield from in_force
        for states in states_bodies(restored.states, self._alias):
            yield control_line(at, "states", states)
        for samples in samples_bodies(restored.samples):
            yield control_line(at, "samples", samples)
        yield control_line(at, "begin", {})

    def _goes_on_lines(self, at: int, first: bytes) -> Iterator[bytes]:
        """What a reader must know that has not seen what was before."""
        assert self._engine is not None
        self._book = self._engine.rules
        said = InForce(self._engine.stale_after, self._engine.clock)
        opening = control_line(at, "in_force", said)
        begin = control_line(at, "begin", {})
        return chain([first, opening], self._in_force_lines(at), [begin])

    def _in_force_lines(self, at: int) -> Iterator[bytes]:
        """The catalog and the rules as they are now, not as they are when it is written."""
        assert self._engine is not None
        catalog, rules = self._engine.catalog, self._engine.rules

        def lines() -> Iterator[bytes]:
            yield catalog_line(at, catalog)
            if self._with_rules:
                added = (plain(rule, self._alias) for rule in rules)
                for body in rules_bodies(RulesChange(), added):
                    yield control_line(at, "rules", body)

        return lines()

    def _change(self, rules: Sequence[Rule], names: dict[str, str] | None) -> None:
        self._close_gap()
        at, old = self._wall(), self._book
        found = difference(old or (), rules)
        drop = None if old is None else found.drop
        change = RulesChange(at=found.at, drop=drop, names=names)
        added = (plain(rule, self._alias) for rule in found.add)
        self._book = rules
        self._put([control_line(at, "rules", body) for body in rules_bodies(change, added)])

    def _alias(self, rule_id: str) -> str:
        """A watch's id holds its chat's: what stands for it is the same over restarts."""
        if rule_id.startswith(FILE):
            return rule_id
        digest = hashlib.blake2b(rule_id.encode(), key=self._key, digest_size=8)
        return f"watch:{digest.hexdigest()}"

    def _rotate_if_due(self) -> None:
        at = self._wall()
        assert self._head is not None
        due = at // 1000 - self._head.began >= self._every or self.writer.is_full
        due |= self.writer.is_lost
        if due and self.writer.has_room:
            self._close_gap()
            last = self._head
            self.writer.put([control_line(at, "end", End(last.part + 1))])
            self._head = Head(last.recording, last.part + 1, at // 1000, program=__version__)
            first = control_line(at, "head", self._head)
            self.writer.make(self._goes_on_lines(at, first), self._head)

    def _put(self, lines: Sequence[bytes], frames: int = 0) -> None:
        """Hands the lines of one decision over, or counts them as missing."""
        self._close_gap()
        fits = all(len(line) <= MAX_LINE for line in lines)
        if self._missing is not None or not fits or not self.writer.put(lines):
            self._miss(frames)

    def _miss(self, frames: int) -> None:
        self.missed += 1
        gap = self._missing or Missing(0, 0)
        self._missing = Missing(gap.frames + frames, gap.decisions + 1)

    def _close_gap(self) -> None:
        """Says what is missing, as soon as there is room, and what holds from there on."""
        if self._missing is not None and self.writer.has_room:
            at = self._wall()
            first = control_line(at, "missing", self._missing)
            self.writer.make(self._goes_on_lines(at, first))
            self._missing = None

    @contextlib.contextmanager
    def _guarded(self, frames: int = 0) -> Iterator[None]:
        """A fault of ours in the record is logged, once, and counted; what is recorded goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - as above
            if type(error) not in self._logged:
                self._logged.add(type(error))
                _log.exception("Something could not be recorded", extra={"action": "not_recorded"})
            self._miss(frames)


def _log_trouble(problem: str | None) -> None:
    if problem is None:
        _log.info("The recording is written again", extra={"action": "recording_back"})
    else:
        _log.warning(
            "The recording cannot be written: %s", problem, extra={"action": "recording_failed"}
        )


@contextlib.asynccontextmanager
async def recorder(
    path: Path, rotation: Rotation, *, with_rules: bool = True
) -> AsyncIterator[Recorder]:
    """A recorder to a file; what waits at the end is written.

    Raises:
        RecordingFileError: the file cannot be recorded to.
    """
    made = Recorder(await asyncio.to_thread(RecordingFile, path), rotation, with_rules=with_rules)
    try:
        yield made
    finally:
        await made.close()
