"""What is held, copied and paused; which event a row tells of.

Columns are only added, so that no row is written anew; rows that were not sent learn their event
from their payload.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

UNSENT = "status IN ('new', 'leased', 'uncertain')"


def upgrade() -> None:
    for name in ("event", "held", "copied"):
        op.add_column("outbox", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.create_table(
        "pauses",
        sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
    )
    _name_events(op.get_bind())
    op.drop_index("outbox_waiting", "outbox")
    op.drop_index("outbox_waiting_by_rule", "outbox")
    for name, columns, where in (
        ("outbox_waiting", ["chat_id", "lane", "id"], f"{UNSENT} AND held = ''"),
        ("outbox_unsent_by_rule", ["rule_id", "fingerprint", "symbol"], UNSENT),
        ("outbox_held", ["held", "chat_id", "rule_id"], "held <> ''"),
        ("outbox_put_off", ["not_before"], "not_before > 0"),
        ("outbox_replies", ["chat_id", "id"], "kind = 'reply'"),
        ("outbox_firings", ["episode", "rule_id", "symbol"], "event = 'fired'"),
        ("outbox_by_sending", ["sent_at"], "sent_at IS NOT NULL"),
    ):
        predicate = sa.text(where)
        op.create_index(
            name, "outbox", columns, sqlite_where=predicate, postgresql_where=predicate
        )


def _name_events(connection: sa.Connection) -> None:
    alerts = sa.text(f"SELECT id, payload FROM outbox WHERE kind = 'alert' AND {UNSENT}")
    named = [
        {"id": row.id, "event": event}
        for row in connection.execute(alerts)
        if (event := _event(row.payload))
    ]
    if named:
        connection.execute(sa.text("UPDATE outbox SET event = :event WHERE id = :id"), named)


def _event(payload: bytes) -> str:
    """What a payload of 0001 says of its event; nothing where it is none."""
    try:
        kind = json.loads(payload)["kind"]
    except (ValueError, TypeError, KeyError):
        return ""
    return kind if kind in ("fired", "resolved", "reminded") else ""
