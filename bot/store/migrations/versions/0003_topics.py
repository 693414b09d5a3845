"""Each topic and lane of a chat has its own order; leases are counted apart from attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

WAITING = "status IN ('new', 'leased', 'uncertain') AND held = ''"


def upgrade() -> None:
    for name, kind in (("lease", sa.Integer), ("hastened_at", sa.BigInteger)):
        op.add_column("outbox", sa.Column(name, kind, nullable=False, server_default="0"))
    op.create_table(
        "overtaken",
        sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("replies", sa.Integer, nullable=False),
        sa.Column("up_to", sa.BigInteger, nullable=False),
    )
    op.execute(f"UPDATE outbox SET lane = 0 WHERE kind = 'reply' AND lane = 1 AND {WAITING}")
    op.drop_index("outbox_replies", "outbox")
    op.drop_index("outbox_waiting", "outbox")
    predicate = sa.text(WAITING)
    columns = ["chat_id", "topic", "lane", "id"]
    op.create_index(
        "outbox_waiting", "outbox", columns, sqlite_where=predicate, postgresql_where=predicate
    )
