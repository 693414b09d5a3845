"""What follows from the end of a rule or of a mute: rows for the outbox."""

import msgspec

from bot.alerts.engine import Engine
from bot.app import texts
from bot.app.desk import Desk
from bot.app.faults import Text
from bot.locale import translator
from bot.market.catalog import Catalog
from bot.notify.channel import Written
from bot.notify.item import Item
from bot.notify.markup import with_mark
from bot.notify.message import write
from bot.notify.payload import edit_row, event_of, is_flapping, notice_row
from bot.rules.rule import Target
from bot.store.port import Store
from bot.store.records import OutboxRow


def still_on(engine: Engine, desk: Desk, chat_id: int) -> list[texts.StillOn]:
    """The told alerts of a chat that are on, the oldest first."""
    rows = [
        texts.StillOn(rule.name, symbol, state.since)
        for rule_id, symbol, state in engine.on()
        if state.told
        and (rule := desk.book.rule(rule_id)) is not None
        and any(target.chat_id == chat_id for target in desk.targets(rule))
    ]
    return sorted(rows, key=lambda row: row.since)


def heard_nothing(
    engine: Engine, desk: Desk, chat_id: int, head: Text, now: int, wall: int
) -> OutboxRow:
    """Tells a chat that was muted or out of reach what is still on.

    `now` is the venue's clock, `wall` the notifier's (ms).
    """
    _ = translator(desk.reader(chat_id).language)
    text = head(_) + " " + texts.still_on(still_on(engine, desk, chat_id), now, _)
    return notice_row(f"again:{wall}", Target(chat_id), Written(text), wall)


async def ended_edit(
    store: Store, row: OutboxRow, desk: Desk, catalog: Catalog, now: int
) -> tuple[OutboxRow, set[int]]:
    """The edit of the message that told of an episode which ended silently.

    Also the outbox ids of all alerts of that message that it says so of.
    """
    together = await store.message_rows(row.chat_id, row.id)
    reader = desk.reader(row.chat_id)
    items = [Item(each.id, event_of(each), flapping=is_flapping(each)) for each in together]
    written = write(items, reader)
    gone = [each for each in together if catalog.trades(each.symbol) is False]
    over = [
        each
        for each in together
        if each not in gone and (each.id == row.id or _is_over(each, desk, catalog))
    ]
    names = [each.symbol for each in gone], [each.symbol for each in over]
    marks = texts.ended(*names, translator(reader.language), alone=len(together) == 1)
    edited = msgspec.structs.replace(
        written, text=with_mark(written.text, marks), silent=True, edit_of=row.message_id
    )
    if len(together) == 1:
        edited = msgspec.structs.replace(edited, buttons=())
    edit = edit_row(f"ended {row.key}", Target(row.chat_id, row.topic), edited, now)
    return edit, {each.id for each in (*gone, *over)}


def _is_over(row: OutboxRow, desk: Desk, catalog: Catalog) -> bool:
    """Whether the rule of an alert is no more, decides otherwise, or means other symbols now."""
    rule = desk.book.rule(row.rule_id)
    if rule is None or rule.fingerprint != row.fingerprint:
        return True
    return not rule.selection.selects(row.symbol, catalog, funded=True)
