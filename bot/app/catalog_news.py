"""Who is told what of a new catalog: one message a chat, about the symbols of its rules."""

from collections.abc import Sequence

from bot.alerts.engine import Engine
from bot.app import venue_texts as texts
from bot.app.desk import Desk
from bot.locale import translator
from bot.market.catalog import Catalog
from bot.market.catalog_changes import CatalogChange, News
from bot.market.number import Value
from bot.notify.channel import Written
from bot.notify.payload import notice_row
from bot.rules.rule import Target
from bot.store.records import OutboxRow


def catalog_notices(
    changes: Sequence[CatalogChange], engine: Engine, catalog: Catalog, desk: Desk, wall: int
) -> list[OutboxRow]:
    """The messages about the changes from the engine's catalog to another one.

    `wall` is this machine's clock (ms). A muted chat hears only of what is gone, for its alerts end
    by that; one out of reach hears nothing.
    """
    now = engine.clock or wall
    concerns: dict[Target, list[CatalogChange]] = {}
    for change in changes:
        # What is gone was selected by the catalog in which it still traded.
        known = engine.catalog if change.news is News.GONE else catalog
        targets = {
            target: None
            for rule in engine.about(change.symbol, known)
            for target in desk.targets(rule)
            if _hears(desk, target.chat_id, change, now)
        }
        for target in targets:
            concerns.setdefault(target, []).append(change)
    written: dict[tuple[str, tuple[CatalogChange, ...]], Written] = {}
    rows = []
    for target, theirs in concerns.items():
        key = desk.reader(target.chat_id).language, tuple(theirs)
        if key not in written:
            text = texts.catalog_news(theirs, lambda s: _rate(engine, s), translator(key[0]))
            written[key] = Written(text, silent=True)
        rows.append(notice_row(f"catalog:{wall}", target, written[key], wall))
    return rows


def _hears(desk: Desk, chat_id: int, change: CatalogChange, now: int) -> bool:
    row = desk.chats.get(chat_id)
    if change.news is News.GONE:
        return row is None or not row.disabled
    return desk.hears(chat_id, now)


def _rate(engine: Engine, symbol: str) -> Value | None:
    """The present rate, where a fresh row tells it."""
    memory = engine.symbols.get(symbol)
    return None if memory is None else engine.reading(memory).value("rate")
