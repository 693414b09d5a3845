"""What a start finds: the database, the bot's name, the rules, and what an earlier run left."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from bot.alerts.changes import SampleKept, StateChange
from bot.alerts.engine import Engine
from bot.app.catalog_source import CATALOG
from bot.app.desk import Desk
from bot.app.live import ADMINS, ALIVE_AT, CLAIM_CODE, MOVED
from bot.app.recorder import Recorder, Restored, recorder
from bot.app.rules_source import CREATED, RulesFileUnusableError, RulesSource, Start
from bot.app.storms import Storms
from bot.market.catalog import Catalog, read_catalog_file
from bot.market.recording_file import RecordingFileError, Rotation
from bot.rules.book import with_created
from bot.rules.rules_file import RulesFile
from bot.store.port import Store, StoreError
from bot.store.records import Saved

USAGE, UNREACHABLE = 2, 3  # exit codes


class CannotStartError(Exception):
    """The program cannot run like this; the message says what to do."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


async def open_store(store: Store) -> Saved:
    try:
        await store.open()
        return await store.load()
    except StoreError as error:
        raise CannotStartError(str(error), USAGE) from None


def first_rules(source: RulesSource, saved: Saved) -> Start:
    """The rules to begin with, and the problems of a file that is not used."""
    try:
        return source.start(saved.facts)
    except RulesFileUnusableError as error:
        raise CannotStartError(str(error), USAGE) from None


def restore_desk(desk: Desk, saved: Saved, file: RulesFile, now: int) -> None:
    """Chats, watches, admins and the book, as they were and as the file says."""
    desk.chats = {row.chat_id: row for row in saved.chats}
    desk.watches = {watch.rule_id: watch for watch in saved.watches}
    desk.pauses = {(pause.chat_id, pause.rule_id): pause for pause in saved.pauses}
    claimed = saved.facts.get(ADMINS, "")
    desk.claimed_admins = frozenset(int(user) for user in claimed.split(",") if user)
    desk.claim_code = saved.facts.get(CLAIM_CODE) or None
    desk.use_file(file)
    known = msgspec.json.decode(saved.facts.get(CREATED, "{}"), type=dict[str, int])
    desk.moved = msgspec.json.decode(saved.facts.get(MOVED, "{}"), type=dict[int, int])
    desk.book = desk.joined(with_created(file.rules, known, now))


def restored_engine(desk: Desk, saved: Saved, stale_after: int) -> Engine:
    """The engine with the catalog, the states and the samples that were kept."""
    text = saved.facts.get(CATALOG)
    catalog = read_catalog_file(text.encode()) if text else Catalog()
    engine = Engine(desk.book.rules, catalog, stale_after=stale_after)
    kept = restored(saved)
    engine.restore(kept.states, kept.samples, kept.alive_at)
    return engine


def restored(saved: Saved) -> Restored:
    """What an engine goes on with."""
    return Restored(
        [
            StateChange(one.key.rule_id, one.key.fingerprint, one.key.symbol, one.state)
            for one in saved.states
        ],
        [SampleKept(one.symbol, one.field, one.time, one.value) for one in saved.samples],
        int(saved.facts.get(ALIVE_AT, "0")),
    )


async def restore_storms(storms: Storms, facts: Mapping[str, str]) -> None:
    """How much each rule told in the last minutes, and fired in the last hours."""
    try:
        await storms.restore(facts)
    except StoreError as error:
        raise CannotStartError(str(error), USAGE) from None


async def open_recorder(stack: AsyncExitStack, path: Path | None) -> Recorder | None:
    """The recorder that RECORD asks for, closed with the stack."""
    if path is None:
        return None
    try:
        return await stack.enter_async_context(recorder(path, Rotation()))
    except RecordingFileError as error:
        raise CannotStartError(f"RECORD: {error}", USAGE) from None
