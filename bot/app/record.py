"""The recorder alone: the program without Telegram, whose one rule never fires, and its journal."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from bot.app.desk import Desk
from bot.app.recorder import Recorder, recorder
from bot.app.rules_source import RulesSource, Start
from bot.app.run import Program, build
from bot.app.start import USAGE, CannotStartError
from bot.app.wiring import Wiring
from bot.market.recording_file import RecordingFileError, Rotation
from bot.market.stream import StreamSettings
from bot.notify.console import Console
from bot.rules.parser import parse_condition
from bot.rules.rule import Rule
from bot.rules.rules_file import RulesFile
from bot.rules.selector import SelectorError, read_selection
from bot.settings import Settings
from bot.store.memory import MemoryStore

STATUS_EVERY = 10.0  # s
NEVER = "mark < 0"  # wants every symbol's row each second, and tells nothing


@dataclass(frozen=True)
class Recording:
    """What is recorded: where to, which symbols (none named: all), when files are put aside."""

    path: Path
    symbols: Sequence[str] = ()
    rotation: Rotation = field(default_factory=Rotation)


async def record(settings: Settings, asked: Recording, stop: asyncio.Event, out: TextIO) -> None:
    """Records until asked to stop; a venue that is away does not end it.

    Raises:
        CannotStartError: the file or the symbols cannot be used.
    """
    source = OneRule(asked.symbols)
    async with contextlib.AsyncExitStack() as stack:
        try:
            writing = recorder(asked.path, asked.rotation, with_rules=False)
            made = await stack.enter_async_context(writing)
        except RecordingFileError as error:
            raise CannotStartError(str(error), USAGE) from None
        wiring = Wiring(
            store=MemoryStore(),
            channel=Console(out),
            api=None,
            stream=StreamSettings(
                settings.binance_stream_url,
                streams_per_connection=settings.streams_per_connection,
                handover_after=settings.handover_after / 1000,
            ),
            rest_root=settings.binance_rest_url,
            source=source,
            desk=Desk(telegram=False),
            stale_after=settings.stale,
            recorder=made,
        )
        program = await stack.enter_async_context(build(wiring))
        showing = asyncio.create_task(_show(program, made, out))
        try:
            await program.run(stop)
        finally:
            showing.cancel()
            await made.close()
            out.write(f"{_summary(program, made)}\n")
            out.flush()


class OneRule(RulesSource):
    """A rule that says which symbols are wanted; no file holds it and nobody edits it."""

    def __init__(self, symbols: Sequence[str]) -> None:
        """Of these symbols; none named: all that trade.

        Raises:
            CannotStartError: one of them is no symbol.
        """
        super().__init__(Path("record"), named=False)
        try:
            selection = read_selection(symbols or ["ALL"])
        except SelectorError as error:
            raise CannotStartError(f"--symbols: {error.message}", USAGE) from None
        rule = Rule("file:record", "record", selection, parse_condition(NEVER))
        self._file = RulesFile((rule,), MappingProxyType({}), MappingProxyType({}))

    def start(self, facts: Mapping[str, str]) -> Start:
        del facts
        return Start(self._file)

    def changed(self) -> None:
        return None


async def _show(program: Program, made: Recorder, out: TextIO) -> None:
    """One line now and then, for somebody who looks on."""
    while out.isatty():
        await asyncio.sleep(STATUS_EVERY)
        status = program.stream.status()
        flows = status.last_row is not None and time.monotonic() - status.last_row < STATUS_EVERY
        feed = "rows flow" if flows else f"no rows: {status.problem or 'connecting'}"
        out.write(f"{_summary(program, made)}; {feed}\n")
        out.flush()


def _summary(program: Program, made: Recorder) -> str:
    writer = made.writer
    rows = f"{made.rows_taken:,} rows of {len(program.engine.symbols)} symbols"
    files = "1 file" if writer.files == 1 else f"{writer.files} files"
    missed = f", {made.missed:,} entries missing" if made.missed else ""
    return f"{rows}, {writer.written / (1 << 20):.2f} MiB in {files}{missed}, {made.path}"
