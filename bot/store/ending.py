"""What ends with a rule: its states, and its alerts that were not sent."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Table, and_, delete, select, update

from bot.store import order
from bot.store.records import Held, OutboxKind, OutboxStatus, StateKey
from bot.store.schema import alert_states, outbox, unsent
from bot.store.transaction import Transaction, chunks


def end(transaction: Transaction, ended: Iterable[StateKey]) -> tuple[int, set[int]]:
    """Forgets states and drops their unsent alerts; how many, and of which chats."""
    dropped = 0
    touched: set[int] = set()
    rules: dict[tuple[str, str], set[str]] = {}
    for key in ended:
        rules.setdefault((key.rule_id, key.fingerprint), set()).add(key.symbol)
    for (rule_id, fingerprint), symbols in rules.items():
        for some in [None] if "" in symbols else chunks(sorted(symbols)):
            mine = _of(alert_states, rule_id, fingerprint, some)
            transaction.change(delete(alert_states).where(*mine))
            count, chat_ids = _drop(transaction, _of(outbox, rule_id, fingerprint, some))
            dropped += count
            touched |= chat_ids
    return dropped, touched


def _of(
    table: Table, rule_id: str, fingerprint: str, symbols: list[str] | None
) -> list[ColumnElement[bool]]:
    """A rule's rows; None for the symbols is all of them."""
    whose = [table.c.rule_id == rule_id, table.c.fingerprint == fingerprint]
    return whose if symbols is None else [*whose, table.c.symbol.in_(symbols)]


def _drop(transaction: Transaction, mine: list[ColumnElement[bool]]) -> tuple[int, set[int]]:
    """Unsent alerts are dead; one that is under way may arrive and only bears the mark."""
    alerts = and_(unsent(), outbox.c.kind == OutboxKind.ALERT, *mine)
    query = select(outbox.c.chat_id).where(alerts).distinct()
    touched = set(transaction.connection.scalars(query))
    if not touched:
        return 0, touched
    under_way = outbox.c.status == OutboxStatus.LEASED
    change = update(outbox).values(error=order.RULE_ENDED)
    transaction.change(change.where(alerts, under_way))
    dead = change.where(alerts, ~under_way)
    count = transaction.change(dead.values(status=OutboxStatus.DEAD, held=Held.NO))
    transaction.done[OutboxStatus.DEAD] += count
    return count, touched
