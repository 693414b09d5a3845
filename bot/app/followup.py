"""What follows from the end of a rule or of a mute: rows for the outbox."""

from bot.alerts.changes import Ended
from bot.alerts.engine import Engine
from bot.alerts.lifecycle import Phase
from bot.app import texts
from bot.app.desk import Desk
from bot.app.world import ON
from bot.locale import translator
from bot.notify.payload import edit_row
from bot.rules.rule import Target
from bot.store.port import Store
from bot.store.records import OutboxRow


def still_on(engine: Engine, desk: Desk, chat_id: int) -> list[texts.StillOn]:
    """The told alerts of a chat that are on, the oldest first."""
    rows = []
    for rule in engine.rules:
        if not any(target.chat_id == chat_id for target in desk.targets(rule, 0)):
            continue
        for memory in engine.symbols.values():
            state = memory.states.get(rule.id)
            if state is not None and state.phase in ON and state.told:
                rows.append(texts.StillOn(rule.name, memory.symbol, state.since))
    return sorted(rows, key=lambda row: row.since)


async def ended_rows(
    store: Store, end: Ended, target: Target, desk: Desk, now: int
) -> list[OutboxRow]:
    """Edits of the firing messages of an episode that ended with its rule."""
    if end.state.phase is Phase.IDLE or not end.state.told:
        return []
    reader = desk.reader(target.chat_id)
    mark = texts.rule_ended(translator(reader.language))
    sent = await store.chat_rows(target.chat_id, end.rule_id, end.symbol, end.state.since)
    return [edit_row(row, reader, mark, now) for row in sent if row.message_id is not None][:1]
