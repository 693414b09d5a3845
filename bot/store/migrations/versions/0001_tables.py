"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WAITING = sa.text("status IN ('new', 'leased', 'uncertain')")
LEASED = sa.text("status = 'leased'")


def upgrade() -> None:
    op.create_table(
        "alert_states",
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("symbol", sa.Text, primary_key=True),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "samples",
        sa.Column("symbol", sa.Text, primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("time", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("samples_by_time", "samples", ["time"])
    _create_outbox()
    op.create_table(
        "turns",
        sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("first_id", sa.BigInteger),
    )
    op.create_index("turns_by_row", "turns", ["first_id", "due_at", "chat_id"])
    op.create_index("turns_by_time", "turns", ["due_at"])
    op.create_table(
        "watches",
        sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("topic", sa.BigInteger),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "chats",
        sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("muted_until", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("next_watch", sa.Integer, nullable=False),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "handled_updates",
        sa.Column("update_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("handled_at", sa.BigInteger, nullable=False),
    )
    op.create_index("handled_updates_by_time", "handled_updates", ["handled_at"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lane", sa.SmallInteger, nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.BigInteger),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("rule_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("episode", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("doubtful", sa.Boolean, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("error", sa.Text, nullable=False),
        sa.UniqueConstraint("key", name="outbox_key"),
        sqlite_autoincrement=True,
    )
    for name, columns, where in (
        ("outbox_waiting", ["chat_id", "lane", "id"], WAITING),
        ("outbox_leased", ["chat_id", "lease_until"], LEASED),
        ("outbox_waiting_by_rule", ["rule_id", "fingerprint", "symbol"], WAITING),
        ("outbox_by_episode", ["rule_id", "symbol", "episode", "chat_id"], None),
        ("outbox_by_message", ["chat_id", "message_id"], None),
        ("outbox_by_age", ["status", "created_at"], None),
    ):
        op.create_index(name, "outbox", columns, sqlite_where=where, postgresql_where=where)
