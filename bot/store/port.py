"""What a store promises. Two keep it: SQLite (`sql.py`) and memory (`memory.py`)."""

from collections.abc import Sequence
from typing import Protocol

from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    OutboxRow,
    OutboxStatus,
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
        """

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        """Claims rows that may be sent now, at most `limit`.

        Eligible: status new, or leased with a lapsed lease (marked doubtful: it may have
        arrived), or uncertain (likewise); row and chat `not_before` passed; chat enabled and not
        in `busy_chats`. A chat without a row is enabled.

        Order is kept per chat, its topics together: replies first, then by id. Nothing of a chat
        is claimed while another row of it is leased, nor behind a row that waits for its
        `not_before`. What one call claims of a chat follows each other in that order and is meant
        to go together: one row, or several alerts (of whatever topics), all doubtful or none. The
        chat whose first row is the oldest comes first.

        The claimed rows are leased until `until`, `attempts` counted up. A store that only one
        program can open takes the leases it finds at its start as lapsed.
        """

    async def settle(self, rows: Sequence[OutboxRow], chats: Sequence[ChatRow] = ()) -> int:
        """Writes back leased rows with their new status, and chats changed by the outcome.

        Fenced: a row counts only while its stored status is leased with the same `attempts`;
        returns how many counted. Of a row status, topic, payload, doubtful, `not_before`,
        message_id, sent_at and error are written (and `lease_until` where it stays leased); of a
        chat that is known only `disabled` and `not_before`.
        """

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
        """How many rows are neither sent nor dead."""

    async def outbox_counts(self) -> dict[OutboxStatus, int]:
        """How many rows are in each status."""

    async def next_due(self, now: int) -> int | None:
        """When the next chat's turn comes, `now` where one's has; None where nothing waits.

        What is leased counts from the end of its lease, a disabled chat not at all.
        """

    async def prune(self, before: int, samples_before: int | None = None) -> int:
        """Removes sent and dead rows created, updates handled and samples taken before that.

        `samples_before` is for samples alone where they are kept for another time. Returns how
        many were removed.
        """

    async def move_chat(self, old: int, new: int) -> dict[str, str]:
        """Follows a group that became a supergroup: chat, watches, states and waiting rows.

        Returns the rule ids that changed, old to new. A watch keeps its number unless the
        supergroup has one of that number. What was sent stays the old chat's: its message ids
        mean nothing in the new one.
        """
