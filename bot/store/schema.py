"""The tables, neutral to the dialect. Times are epoch ms; the columns of a record carry its names.

The migrations build them (`migrations/`); a test holds the two together.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    and_,
    text,
)

from bot.store.records import Held

metadata = MetaData()

# What the partial indexes hold; a query must repeat the text to be served by one.
UNSENT = "status IN ('new', 'leased', 'uncertain')"
WAITING = f"{UNSENT} AND held = ''"
LEASED = "status = 'leased'"
HELD = "held <> ''"  # such a row is new or uncertain: what dies or is leased is held no more
PUT_OFF = "not_before > 0"
FIRED = "event = 'fired'"
SENT = "sent_at IS NOT NULL"


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


# SQLite numbers rows by itself only where the key's type is INTEGER.
_serial = BigInteger().with_variant(Integer, "sqlite")

alert_states = Table(
    "alert_states",
    metadata,
    Column("rule_id", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("state", Text, nullable=False),  # JSON
)

samples = Table(
    "samples",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    Index("samples_by_time", "time"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _serial, primary_key=True),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False),  # the lowest goes first within a chat
    Column("chat_id", BigInteger, nullable=False),
    Column("topic", BigInteger),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("episode", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("doubtful", Boolean, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("message_id", BigInteger),
    Column("sent_at", BigInteger),
    Column("error", Text, nullable=False),
    Column("event", Text, nullable=False, server_default=""),
    Column("held", Text, nullable=False, server_default=""),
    Column("copied", Text, nullable=False, server_default=""),
    Column("lease", Integer, nullable=False, server_default="0"),
    Column("hastened_at", BigInteger, nullable=False, server_default="0"),
    _partial("outbox_waiting", "chat_id", "topic", "lane", "id", where=WAITING),
    _partial("outbox_leased", "chat_id", "lease_until", where=LEASED),
    _partial("outbox_unsent_by_rule", "rule_id", "fingerprint", "symbol", where=UNSENT),
    _partial("outbox_held", "held", "chat_id", "rule_id", where=HELD),
    _partial("outbox_put_off", "not_before", where=PUT_OFF),
    _partial("outbox_firings", "episode", "rule_id", "symbol", where=FIRED),
    _partial("outbox_by_sending", "sent_at", where=SENT),
    UniqueConstraint("key", name="outbox_key"),
    Index("outbox_by_episode", "rule_id", "symbol", "episode", "chat_id"),
    Index("outbox_by_message", "chat_id", "message_id"),
    Index("outbox_by_age", "status", "created_at"),
    sqlite_autoincrement=True,  # an id is never used twice, also after the newest was pruned
)  # fmt: skip

# When a chat's turn comes: one row per chat that may be sent to by time, kept up to date by
# whatever changes its rows. Finding the next is then a look at an index, however many wait.
turns = Table(
    "turns",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("due_at", BigInteger),  # None only while it is being worked out
    Column("first_id", BigInteger),  # the row that goes first
    Index("turns_by_row", "first_id", "due_at", "chat_id"),
    Index("turns_by_time", "due_at"),
)

# Of the chats in which replies went while alerts waited: how many, and which of the rows have let
# enough pass.
overtaken = Table(
    "overtaken",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("replies", Integer, nullable=False),
    Column("up_to", BigInteger, nullable=False),  # an id
)

watches = Table(
    "watches",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("topic", BigInteger),
    Column("line", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", BigInteger, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rule_id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("notice", Text, nullable=False),
)

chats = Table(
    "chats",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("muted_until", BigInteger, nullable=False),
    Column("disabled", Text, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("next_watch", Integer, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

handled_updates = Table(
    "handled_updates",
    metadata,
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("handled_at", BigInteger, nullable=False),  # 0: not known, kept for ever
    Index("handled_updates_by_time", "handled_at"),
)


def unsent() -> TextClause:
    """Rows of the outbox that are neither sent nor dead."""
    return text(UNSENT)


def waiting() -> TextClause:
    """Rows of the outbox that are neither sent nor dead nor held."""
    return text(WAITING)


def leased() -> TextClause:
    return text(LEASED)


def held_as(reason: Held) -> ColumnElement[bool]:
    """Rows of the outbox that are held for that reason."""
    return and_(text(HELD), outbox.c.held == reason)


def any_held() -> ColumnElement[bool]:
    return and_(text(HELD), outbox.c.held.in_((Held.PAUSE, Held.FLAP)))
