"""What commands may look up: plain values of one moment, nothing that changes anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.alerts.look import Look
from bot.market.catalog import Catalog
from bot.market.reading import Reading
from bot.notify.channel import Written
from bot.rules.rule import Rule
from bot.store.records import ChatRow, Watch


@dataclass(frozen=True, slots=True)
class Status:
    """How the program fares. Times are epoch ms of the same clock as `World.now`."""

    version: str
    started_at: int
    feed: str  # one of "connected", "connecting", "silent"
    last_row_at: int | None  # None: no row has come yet
    symbols: int  # with rows
    stale: int  # of those
    file_rules: int
    watches: int
    firing: int
    waiting: int  # outbox rows neither sent nor dead
    last_poll_at: int | None  # the last answer of Telegram to getUpdates
    faults: tuple[str, ...] = ()  # what is wrong now, in words


class World(Protocol):
    """The present, looked up without waiting. Symbols are full names, as the venue writes them."""

    @property
    def now(self) -> int:
        """The clock, epoch ms."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def groups(self) -> Mapping[str, list[str]]:
        """The symbol groups of the rules file."""

    @property
    def bot_name(self) -> str:
        """The bot's user name without @; "" until it is known."""

    def chat(self, chat_id: int) -> ChatRow | None:
        """The row of a chat that was talked with before."""

    def watches(self, chat_id: int) -> Sequence[Watch]:
        """The chat's watches in all its topics, by number."""

    def rules(self, chat_id: int) -> Sequence[Rule]:
        """The rules that tell this chat something now: those of the file, then its watches."""

    def reading(self, symbol: str) -> Reading | None:
        """The latest reading, marked stale where it is; None where no row has come."""

    def readings(self) -> Sequence[Reading]:
        """The latest reading of every symbol that has one."""

    def look(self, rule: Rule, symbol: str) -> Look | None:
        """How a rule stands on a symbol; None where it has not been evaluated there."""

    def firing(self, rule: Rule) -> Sequence[str]:
        """The symbols on which a rule is on (firing, or not yet over for long enough)."""

    def status(self) -> Status: ...

    def more(self, chat_id: int, row_id: int) -> Written | None:
        """The rest of a grouped message of this chat; None where it is no longer kept."""
