"""The rows of the store, as values. Times are epoch ms; a row's id is 0 until it is stored."""

from enum import StrEnum

import msgspec

from bot.alerts.lifecycle import State


class StateKey(msgspec.Struct, frozen=True):
    """Whose state it is: rule, what decides, symbol."""

    rule_id: str
    fingerprint: str
    symbol: str


class SavedState(msgspec.Struct, frozen=True):
    key: StateKey
    state: State


class Sample(msgspec.Struct, frozen=True):
    """The first known value of a field in a UTC minute; `value` is an exact fraction's text."""

    symbol: str
    field: str
    time: int
    value: str


class OutboxStatus(StrEnum):
    NEW = "new"
    LEASED = "leased"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    DEAD = "dead"


class OutboxKind(StrEnum):
    REPLY = "reply"  # the answer to a command; before queued alerts of its chat
    ALERT = "alert"
    NOTICE = "notice"  # the program's own: feed silent, reload refused
    EDIT = "edit"  # of a message that was sent before
    REST = "rest"  # a further part of a message whose first part arrived; before all else


class Held(StrEnum):
    """Why a row waits for more than its time and its chat's turn."""

    NO = ""
    PAUSE = "pause"  # its rule is paused in its chat, until somebody resumes it
    FLAP = "flap"  # its rule fires too often on its symbol: the next summary tells of it


class Copied(StrEnum):
    """How far the copy of a row to the second channel has come."""

    NO = ""
    BEGUN = "begun"  # it may have arrived there
    DONE = "done"


class OutboxRow(msgspec.Struct, frozen=True):
    """One thing to be told to one chat.

    `payload` is JSON whose shape belongs to notify (an encoded event, or a written text).
    `key` is unique: a second row with the same key is not stored.
    """

    key: str
    kind: OutboxKind
    chat_id: int
    topic: int | None
    payload: bytes
    created_at: int
    rule_id: str = ""  # whose rows are dropped when the rule ends
    fingerprint: str = ""
    symbol: str = ""
    episode: int = 0  # `since` of the event; the resolved message replies to the fired one
    event: str = ""  # of an alert: "fired", "resolved" or "reminded"
    expires_at: int | None = None  # a countdown is worthless after T
    status: OutboxStatus = OutboxStatus.NEW
    attempts: int = 0  # requests that were made or may have been, one that is under way with them
    lease: int = 0  # counts its leases: the outcome of an earlier one does not count
    doubtful: bool = False  # an earlier attempt may have arrived: mark as possible repeat
    not_before: int = 0
    lease_until: int = 0
    message_id: int | None = None
    sent_at: int | None = None
    error: str = ""
    held: Held = Held.NO
    copied: Copied = Copied.NO
    hastened_at: int = 0  # when its wait was last cut short, though it may have arrived
    id: int = 0


class Pause(msgspec.Struct, frozen=True):
    """A rule that caused too many messages in a chat: its alerts are held there."""

    chat_id: int
    rule_id: str
    rule: str  # its name, for people
    since: int
    notice: str  # the key of the outbox row that told the chat


class RecentSend(msgspec.Struct, frozen=True):
    """One message that went to a chat. `rule_id` where all it told is one rule's alerts."""

    chat_id: int
    at: int
    rule_id: str = ""


class Firing(msgspec.Struct, frozen=True):
    """One episode's begin, whoever was told of it; `episode` is its `since`."""

    rule_id: str
    fingerprint: str
    symbol: str
    episode: int


class Watch(msgspec.Struct, frozen=True):
    """A chat's watch, as the line that made it: `number` is its short stable id in the chat."""

    chat_id: int
    topic: int | None
    number: int
    line: str  # "BTCUSDT rate > 0.05% cooldown 30m", canonical
    created_at: int
    created_by: int  # Telegram user id

    @property
    def rule_id(self) -> str:
        return watch_rule_id(self.chat_id, self.number)


def watch_rule_id(chat_id: int, number: int) -> str:
    """The id of the rule that a watch is."""
    return f"watch:{chat_id}:{number}"


class ChatRow(msgspec.Struct, frozen=True):
    """What is known of a chat. `disabled` names why nothing can be sent to it; "" is enabled."""

    chat_id: int
    kind: str = "private"  # private, group, supergroup, channel
    title: str = ""
    language: str = ""  # "": English until something better is known
    timezone: str = "UTC"
    muted_until: int = 0
    disabled: str = ""
    not_before: int = 0  # Telegram's retry_after, kept over restarts
    next_watch: int = 1  # watch numbers are never used twice


class Commit(msgspec.Struct, frozen=True):
    """Everything that one decision changes, stored in one transaction or not at all.

    `update_id` is the Telegram update whose effects these are: where it was handled before,
    nothing of the commit is applied. `at` (epoch ms) says when: handled updates are forgotten by
    age. Where it is 0 the youngest row of `outbox` tells; without one the update is never
    forgotten.
    """

    states: tuple[SavedState, ...] = ()
    ended: tuple[StateKey, ...] = ()  # their states go, and their unsent alert rows are dropped
    samples: tuple[Sample, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    watches: tuple[Watch, ...] = ()
    unwatched: tuple[tuple[int, int], ...] = ()  # (chat_id, number)
    chats: tuple[ChatRow, ...] = ()
    facts: dict[str, str] = {}  # named single values: heartbeat, last good rules file, admins ...
    update_id: int | None = None
    at: int = 0
    pauses: tuple[Pause, ...] = ()  # their rules' unsent alerts in their chats are held
    resumed: tuple[tuple[int, str], ...] = ()  # (chat_id, rule_id): what was held waits again
    summed: tuple[int, ...] = ()  # ids of rows held as FLAP that a row of `outbox` sums up: dead


class Committed(msgspec.Struct, frozen=True):
    """What a commit did: False where its update had been handled before; rows dropped."""

    applied: bool
    outbox_added: int = 0
    outbox_dropped: int = 0


class Saved(msgspec.Struct, frozen=True):
    """What a start reads."""

    states: tuple[SavedState, ...]
    samples: tuple[Sample, ...]
    watches: tuple[Watch, ...]
    chats: tuple[ChatRow, ...]
    facts: dict[str, str]
    pauses: tuple[Pause, ...] = ()
