"""The tables, neutral to the dialect. Times are epoch ms; the columns of a record carry its names.

The migrations build them (`migrations/`); a test holds the two together.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# What "waits" and "is leased" mean to an index; a query must repeat the text to be served by it.
WAITING = "status IN ('new', 'leased', 'uncertain')"
LEASED = "status = 'leased'"

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
    Column("lane", SmallInteger, nullable=False),  # 0 goes before 1 within a chat
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
    Index(
        "outbox_waiting", "chat_id", "lane", "id",
        sqlite_where=text(WAITING), postgresql_where=text(WAITING),
    ),
    Index(
        "outbox_leased", "chat_id", "lease_until",
        sqlite_where=text(LEASED), postgresql_where=text(LEASED),
    ),
    Index(
        "outbox_waiting_by_rule", "rule_id", "fingerprint", "symbol",
        sqlite_where=text(WAITING), postgresql_where=text(WAITING),
    ),
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


def waiting() -> TextClause:
    """Rows of the outbox that are neither sent nor dead."""
    return text(WAITING)


def leased() -> TextClause:
    return text(LEASED)
