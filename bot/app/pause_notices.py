"""Notices of pauses that are over: what says "is paused" is put right, whenever it arrives."""

import logging
from collections.abc import Iterable, Mapping

import msgspec

from bot.app import storm_texts
from bot.app.desk import Desk
from bot.chat.answer import Answer
from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.payload import edit_row
from bot.rules.rule import Target
from bot.store.port import Store, StoreError
from bot.store.records import Commit, OutboxRow, OutboxStatus, Pause, watch_rule_id

PAUSES_OVER = "pauses_over"  # the fact that keeps those whose notices do not say it yet
_UNSENT = (OutboxStatus.NEW, OutboxStatus.UNCERTAIN)
_log = logging.getLogger(__name__)


class Over(msgspec.Struct, frozen=True, array_like=True):
    """A pause that is over. `said`: the messages that say so already."""

    pause: Pause
    resumed: bool  # False: its rule ended or decides otherwise now
    said: tuple[int, ...] = ()


def ended_by(answer: Answer, pauses: Mapping[tuple[int, str], Pause]) -> list[Over]:
    """The pauses that an answer ends; its edits may say so already."""
    said = tuple(written.edit_of for written in answer.edits if written.edit_of is not None)
    unwatched = {watch_rule_id(*watch) for watch in answer.unwatched}
    return [
        Over(pause, key in answer.resumed, said)
        for key, pause in pauses.items()
        if key in answer.resumed or pause.rule_id in unwatched
    ]


class PauseNotices:
    """Keeps the ends of pauses until their notices are edited, or need not be sent any more."""

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store = store
        self._desk = desk
        self._waiting: dict[str, Over] = {}  # by the notice's key
        self.is_new = False  # something came since the last `mark`

    def restore(self, facts: Mapping[str, str]) -> None:
        """Takes those that an earlier run left."""
        kept = facts.get(PAUSES_OVER) or "[]"
        try:
            self.note(msgspec.json.decode(kept, type=list[Over]))
        except msgspec.DecodeError:
            _log.warning("The ends of pauses that were kept cannot be read: %.200s", kept)

    def note(self, ends: Iterable[Over]) -> dict[str, str]:
        """Takes pauses that are over; the fact that is to be stored with them."""
        new = {end.pause.notice: end for end in ends}
        if not new:
            return {}
        self._waiting = new | self._waiting
        self.is_new = True
        return _fact(self._waiting.values())

    def with_these(self, ends: Iterable[Over]) -> dict[str, str]:
        """The fact as it will be once these pauses are over."""
        new = {end.pause.notice: end for end in ends}
        return _fact((new | self._waiting).values()) if new else {}

    def rename(self, old: int, new: int) -> None:
        """Follows a chat to its new id: what was not sent goes there."""
        for key, end in self._waiting.items():
            if end.pause.chat_id == old:
                pause = msgspec.structs.replace(end.pause, chat_id=new)
                self._waiting[key] = msgspec.structs.replace(end, pause=pause)

    async def mark(self, now: int) -> None:
        """Corrects the notices that have arrived; what the store cannot take waits."""
        edits: list[OutboxRow] = []
        left: dict[str, Over] = {}
        try:
            for key, end in self._waiting.items():
                row = await self._store.row_of(key)
                if row is None or row.chat_id != end.pause.chat_id:
                    continue  # it stayed behind in another chat
                if row.message_id is not None and row.message_id not in end.said:
                    edits.append(self._edit(row, row.message_id, end, now))
                if row.status is OutboxStatus.LEASED or not await self._is_gone(row):
                    left[key] = end
            if len(left) < len(self._waiting):
                await self._store.commit(Commit(outbox=tuple(edits), facts=_fact(left.values())))
        except StoreError:
            return
        self._waiting = left
        self.is_new = False

    async def _is_gone(self, row: OutboxRow) -> bool:
        """Takes a notice back that still waits; whether none is on its way any more."""
        return row.status not in _UNSENT or bool(
            await self._store.bury([row], "its pause was over before it was sent")
        )

    def _edit(self, row: OutboxRow, message_id: int, end: Over, now: int) -> OutboxRow:
        _ = translator(self._desk.reader(row.chat_id).language)
        is_left = self._desk.book.rule(end.pause.rule_id) is not None
        text = storm_texts.pause_over(end.pause.rule, _, resumed=end.resumed, is_left=is_left)
        written = Written(text, edit_of=message_id)
        return edit_row(f"over {row.key}", Target(row.chat_id, row.topic), written, now)


def _fact(ends: Iterable[Over]) -> dict[str, str]:
    return {PAUSES_OVER: msgspec.json.encode(list(ends)).decode()}
