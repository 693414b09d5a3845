"""What a store promises. Two keep it: SQLite (`sql.py`) and memory (`memory.py`)."""

from collections.abc import Sequence
from typing import Protocol

from bot.store.records import ChatRow, Commit, Committed, OutboxRow, Saved


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
        """Applies a commit whole. Rows whose key exists are passed over."""

    async def lease(
        self, now: int, until: int, limit: int, busy_chats: frozenset[int] = frozenset()
    ) -> Sequence[OutboxRow]:
        """Claims rows that may be sent now, at most `limit`.

        Eligible: status new, or leased with a lapsed lease (marked doubtful: it may have
        arrived), or uncertain; row and chat `not_before` passed; chat enabled and not in
        `busy_chats`. Within a chat and topic order is kept: replies first, then by id; a row is
        not claimed while an earlier one of the same order waits or is under way.
        The claimed rows are leased until `until`, `attempts` counted up.
        """

    async def settle(self, rows: Sequence[OutboxRow], chats: Sequence[ChatRow] = ()) -> int:
        """Writes back leased rows with their new status, and chats changed by the outcome.

        Fenced: a row counts only while its stored status is leased with the same `attempts`;
        returns how many counted.
        """

    async def chat_rows(self, chat_id: int, rule_id: str, symbol: str, episode: int) -> list[
        OutboxRow
    ]:
        """The alert rows of one episode in one chat, oldest first (to reply to, or to edit)."""

    async def pending(self, chat_id: int | None = None) -> int:
        """How many rows are neither sent nor dead."""

    async def next_due(self, now: int) -> int | None:
        """When the next waiting row becomes eligible by time, None where none waits."""

    async def prune(self, before: int) -> int:
        """Removes sent and dead rows, handled updates and samples older than `before`."""

    async def move_chat(self, old: int, new: int) -> None:
        """Follows a group that became a supergroup: chat, watches, states and waiting rows."""
