"""What a store promises. Two keep it: SQLite (`sql.py`) and memory (`memory.py`)."""

from collections.abc import Sequence
from typing import Protocol

from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    Copied,
    Firing,
    OutboxRow,
    OutboxStatus,
    RecentSend,
    Saved,
)


class StoreError(Exception):
    """The store cannot do it now; the message names the cause in words."""


class StoreBusyError(StoreError):
    """Another program runs on this database."""


class Store(Protocol):
    """One writer's store. Every method is one transaction; it happened whole or not at all.

    Times are epoch ms and always the caller's. Methods raise `StoreError`.
    """

    async def open(self) -> None:
        """Opens or creates it at its newest schema; raises `StoreBusyError` where in use."""

    async def close(self) -> None: ...

    async def load(self) -> Saved:
        """Everything a start needs, but the outbox."""

    async def commit(self, commit: Commit) -> Committed:
        """Applies a commit whole. Rows whose key exists are passed over.

        What has ended goes before the new is stored; an alert that is leased is not dropped, it
        may have arrived: it is once its outcome asks for another attempt. Of a chat that is
        known `not_before` and `next_watch` never go down.

        An alert of a rule that is paused in its chat is held as soon as it waits, whether it is
        added, released or to be tried again; what is resumed waits again in its old place. What
        ends is dropped also where it is held. A pause is over when it is resumed, when its watch
        is unwatched, and when a key in `ended` is of its rule and every symbol.
        """

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        """Claims rows that may be sent now, at most `limit`.

        Eligible: status new, or leased with a lapsed lease (marked doubtful: it may have
        arrived), or uncertain (likewise); row and chat `not_before` passed; chat enabled and not
        in `busy_chats`. A chat without a row is enabled.

        Order is kept per chat and topic: the rest of a message that has begun goes before all
        else of its topic, replies go in their order, all else in its own. What waits for its
        `not_before` holds what is behind it in that order and nothing else: people read each topic
        by itself, and a message that may have arrived, to be repeated in five minutes, must not
        silence the others or keep an answer from its asker. Of a chat's topics the rest of a
        message goes first, then replies, then by id; but once five replies went while an alert
        waited, it and whatever is older go before the next reply as soon as they may.

        Nothing of a chat is claimed while another row of it is leased; what is held is as if it
        were not there. What one call claims of a chat is meant to go together: one row, or several
        alerts of one topic that follow each other there, all doubtful or none. It is never cut
        short for `limit`, but where there are more than 5,000: the last chat of a call may pass
        it. The chat whose first row is the oldest comes first.

        The claimed rows are leased until `until`, `attempts` and `lease` counted up: who lets go
        of rows without a request gives the attempt back. A store that only one
        program can open takes the leases it finds at its start as lapsed.
        """

    async def settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> int:
        """Writes back leased rows with their new status, and chats changed by the outcome.

        `added` are new rows that follow from it (the rest of a message): stored where at least
        one of `rows` counted.

        Fenced: a row counts only while its stored status is leased with the same `lease`;
        returns how many counted. Of a row status, topic, payload, attempts, doubtful, `not_before`,
        message_id, sent_at and error are written (and `lease_until` where it stays leased); of a
        chat that is known only `disabled` and `not_before`.
        """

    async def late_rows(self, chat_id: int, now: int, before: int) -> list[OutboxRow]:
        """The unsent alerts of a chat that are too late, in order; none that is held.

        Too late: created before `before`, or `expires_at` is not after `now`; and whatever else
        is unsent of the episode of a too late "fired".
        """

    async def bury(
        self, rows: Sequence[OutboxRow], reason: str, added: Sequence[OutboxRow] = ()
    ) -> int:
        """Rows that are not worth sending any more are dead; `added` tells of it.

        Fenced: a row counts only while its stored status and `lease` are the given ones.
        Returns how many counted; `added` is stored where one did.
        """

    async def hasten(self, now: int) -> None:
        """What waits for its own `not_before` is due now; a chat's own `not_before` stays.

        What may have arrived is brought forward once in five minutes at most, however often this
        is called: its copies must stay few.
        """

    async def recent_sends(self, since: int) -> list[RecentSend]:
        """The messages sent at or after that, oldest first (an edit is one too)."""

    async def firings(self, since: int) -> list[Firing]:
        """The episodes whose "fired" is in the outbox and that began at or after that."""

    async def flapping_rows(self, before: int) -> list[OutboxRow]:
        """What is held as FLAP, in the outbox's order.

        Only of those (chat, topic, rule, symbol) whose oldest such row was created before that.
        """

    async def held_counts(self) -> dict[tuple[int, str], int]:
        """How many alerts are held as PAUSE, by chat and rule id; only where some are."""

    async def row_of(self, key: str) -> OutboxRow | None:
        """The row with that key."""

    async def uncopied(self, chat_ids: Sequence[int], limit: int) -> list[OutboxRow]:
        """Unsent alerts and notices of these chats whose copy is not DONE, in the outbox's order.

        What is held is left out.
        """

    async def mark_copied(self, ids: Sequence[int], copied: Copied) -> None:
        """How far the copy of these rows has come."""

    async def chat_rows(
        self, chat_id: int, rule_id: str, symbol: str, episode: int
    ) -> list[OutboxRow]:
        """The alert rows of one episode in one chat, oldest first (to reply to, or to edit)."""

    async def episode_rows(self, rule_id: str, symbol: str, episode: int) -> list[OutboxRow]:
        """The alert rows of one episode in every chat, oldest first."""

    async def message_rows(self, chat_id: int, row_id: int) -> list[OutboxRow]:
        """The alert rows that one message told of, by any of them, in the outbox's order.

        Empty where the row is not one of that chat's alerts, or was not sent.
        """

    async def pending(self, chat_id: int | None = None) -> int:
        """How many rows wait to be sent: neither sent nor dead nor held."""

    async def outbox_counts(self) -> dict[OutboxStatus, int]:
        """How many rows are in each status, as stored: what is held is new or uncertain."""

    async def next_due(self, now: int) -> int | None:
        """When the next chat's turn comes, `now` where one's has; None where nothing waits.

        What is leased counts from the end of its lease, a disabled chat not at all.
        """

    async def prune(self, before: int, samples_before: int | None = None) -> int:
        """Removes sent, dead and held rows created, updates handled and samples taken before that.

        `samples_before` is for samples alone where they are kept for another time. Returns how
        many were removed.
        """

    async def move_chat(self, old: int, new: int) -> dict[str, str]:
        """Follows a group that became a supergroup: chat, watches, states, pauses, unsent rows.

        Returns the rule ids that changed, old to new. A watch keeps its number unless the
        supergroup has one of that number. What was sent stays the old chat's: its message ids
        mean nothing in the new one.
        """
