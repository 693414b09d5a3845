"""What follows from the end of a rule or of a mute: rows for the outbox."""

from bot.alerts.changes import Ended
from bot.alerts.engine import Engine
from bot.app import texts
from bot.app.desk import Desk
from bot.app.world import ON
from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.item import Item
from bot.notify.message import write
from bot.notify.payload import edit_row, event_of
from bot.rules.rule import Target
from bot.store.port import Store
from bot.store.records import OutboxRow


def still_on(engine: Engine, desk: Desk, chat_id: int) -> list[texts.StillOn]:
    """The told alerts of a chat that are on, the oldest first."""
    rows = []
    for rule in engine.rules:
        if not any(target.chat_id == chat_id for target in desk.targets(rule)):
            continue
        for memory in engine.symbols.values():
            state = memory.states.get(rule.id)
            if state is not None and state.phase in ON and state.told:
                rows.append(texts.StillOn(rule.name, memory.symbol, state.since))
    return sorted(rows, key=lambda row: row.since)


async def ended_rows(
    store: Store, end: Ended, target: Target, desk: Desk, now: int
) -> list[OutboxRow]:
    """Edits of the firing messages of an episode that ended with its rule.

    A message that tells of several alerts stays as it is: the others are still true.
    """
    reader = desk.reader(target.chat_id)
    mark = texts.rule_ended(translator(reader.language))
    told = await store.chat_rows(target.chat_id, end.rule_id, end.symbol, end.state.since)
    rows = []
    for row in told[:1]:
        if row.message_id is None or len(await store.message_rows(row.chat_id, row.id)) > 1:
            continue
        written = write([Item(row.id, event_of(row))], reader)
        edited = Written(f"{written.text}\n{mark}", silent=True, edit_of=row.message_id)
        rows.append(edit_row(f"ended {row.key}", Target(row.chat_id, row.topic), edited, now))
    return rows
