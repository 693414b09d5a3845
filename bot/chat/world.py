"""What commands may look up: plain values of one moment, nothing that changes anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.alerts.look import Look
from bot.locale import Translate
from bot.market.catalog import Catalog
from bot.market.reading import Reading
from bot.notify.channel import Written
from bot.rules.rule import Rule
from bot.store.records import ChatRow, Watch

Words = Callable[[Translate], str]  # a text that writes itself in a language


@dataclass(frozen=True, slots=True)
class LinkView:
    """An open connection: its age in ms, and how many streams it carries."""

    age: int
    streams: int


@dataclass(frozen=True, slots=True)
class FeedView:
    """How the market's data fares. Ages and spans are ms, None of what never happened.

    `state` is one of "flows", "silent" (connected, but without rows), "connecting", "waiting" (for
    the next attempt). Reasons are sentences that `bot.locale.reasons` translates.
    """

    state: str
    row_age: int | None = None
    rows_per_second: float = 0.0
    lag: int | None = None
    skew: int | None = None  # this machine's clock minus the venue's
    links: tuple[LinkView, ...] = ()
    next_connect: int | None = None  # until the next attempt
    problem: str = ""  # why no rows flow; "" while they do
    reconnect_age: int | None = None
    reconnect_reason: str = ""
    handover_age: int | None = None
    catalog_age: int | None = None
    symbols: int = 0  # wanted ones of which a row has come
    stale: tuple[str, ...] = ()
    by_rest: tuple[str, ...] = ()  # not by the stream
    gone: tuple[str, ...] = ()  # no longer traded
    unanswered: tuple[str, ...] = ()  # streams that were acknowledged and stay silent


@dataclass(frozen=True, slots=True)
class SecondView:
    """How the second channel fares: whether it is in use now, what was copied since the start.

    `failing` are the entries of FALLBACK_URLS, from 1, whose last attempt failed.
    """

    in_use: bool = False
    copied: int = 0
    failing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderView:
    """How sending fares; ages are ms. `blocked` are kinds of `bot.notify.port`."""

    is_telegram: bool
    waiting: int  # outbox rows neither sent nor dead
    sent_age: int | None = None
    answer_age: int | None = None  # of Telegram's last answer, to a poll or a message
    blocked: tuple[str, ...] = ()
    is_well: bool = True  # as /readyz judges
    second: SecondView | None = None


@dataclass(frozen=True, slots=True)
class RecordingView:
    """Where the market is recorded to, how large the file is (bytes), what it lacks, and why."""

    file: str
    size: int = 0
    missed: int = 0  # entries
    problem: str = ""  # why nothing can be written now


@dataclass(frozen=True, slots=True)
class Status:
    """How the program fares; `running` is ms."""

    version: str
    running: int
    feed: FeedView
    sender: SenderView
    file_rules: int
    watches: int
    firing: int
    recording: RecordingView | None = None
    faults: tuple[Words, ...] = ()  # what is wrong now, HTML


@dataclass(frozen=True, slots=True)
class PausedRule:
    """A rule that told this chat too much: since when it is paused (ms), how much is held."""

    rule_id: str
    name: str
    since: int
    held: int
    message_id: int | None = None  # of the notice that says so, where it has arrived


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

    def paused(self, chat_id: int) -> Sequence[PausedRule]:
        """The rules that are paused in this chat, the longest first."""

    def more(self, chat_id: int, row_id: int) -> Written | None:
        """The rest of a grouped message of this chat; None where it is no longer kept."""
