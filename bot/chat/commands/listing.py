"""/list: every rule that tells this chat something, in pages."""

from bot.chat.answer import Answer, Call
from bot.chat.words import code, pages_of, some_of, watch_names
from bot.chat.world import PausedRule, World
from bot.locale import Translate
from bot.notify.channel import Button, Written
from bot.notify.markup import escape
from bot.rules.rule import Rule
from bot.store.records import Watch

_PAGE = 10  # rows
_LONGEST_ROW = 1_000  # characters of a file rule; it may select thousands of names


def listing(call: Call, world: World) -> Answer:
    return Answer(replies=(_page(call, world, 1),))


def press(call: Call, world: World) -> Answer:
    """The buttons between pages: `list:<page>`; the message is edited in place."""
    number = int(call.argument) if call.argument.isdecimal() and len(call.argument) < 6 else 1
    written = _page(call, world, number)
    edited = Written(written.text, written.buttons, edit_of=call.request.message_id)
    return Answer(replies=(edited,))


def _page(call: Call, world: World, number: int) -> Written:
    _ = call.translate
    rows = _rows(call, world)
    if not rows:
        return Written(
            _("Nothing is watched here. Begin with {line}").format(
                line=code("/watch BTCUSDT rate > 0.05%")
            )
        )
    pages = pages_of(rows, _PAGE)
    number = min(max(number, 1), len(pages))
    title = _("Watched here: {count}").format(count=len(rows))
    if len(pages) > 1:
        title += " · " + _("page {page} of {pages}").format(page=number, pages=len(pages))
    text = "\n".join((f"<b>{title}</b>", *pages[number - 1]))
    around = [
        Button(sign, f"list:{page}")
        for sign, page in (("◀", number - 1), ("▶", number + 1))
        if 1 <= page <= len(pages)
    ]
    return Written(text, (tuple(around),) if around else ())


def _rows(call: Call, world: World) -> list[str]:
    """The chat's watches by number, then the rules of the file that tell this chat."""
    rules = world.rules(call.chat.chat_id)
    by_id = {rule.id: rule for rule in rules}
    watches = world.watches(call.chat.chat_id)
    paused = {rule.rule_id: rule for rule in world.paused(call.chat.chat_id)}
    _ = call.translate
    rows = {
        watch.rule_id: _watch_row(watch, by_id.get(watch.rule_id), world, _) for watch in watches
    }
    rows |= {rule.id: _file_row(rule, world, _) for rule in rules if rule.id not in rows}
    return [row + _paused(paused.get(rule_id), _) for rule_id, row in rows.items()]


def _watch_row(watch: Watch, rule: Rule | None, world: World, _: Translate) -> str:
    row = f"<b>#{watch.number}</b> {code(watch.line)}"
    names = watch_names(watch, world)
    if names and not all(name in watch.line for name in names):  # `BTC` of a time without a catalog
        row += f" ({escape(', '.join(names))})"
    if rule is None:
        return f"{row} · " + _("ended")
    return row + _firing(rule, world, _)


def _file_row(rule: Rule, world: World, _: Translate) -> str:
    line = f"{rule.selection} {rule.text}"
    if len(line) > _LONGEST_ROW:
        line = line[:_LONGEST_ROW] + "…"
    head = _("file rule {name}").format(name=f"<b>{escape(rule.name)}</b>")
    return f"📄 {head}: {code(line)}" + _firing(rule, world, _)


def _paused(rule: PausedRule | None, _: Translate) -> str:
    if rule is None:
        return ""
    text = _("paused, {count} held: {command}")
    command = code(f"/resume {rule.name.removeprefix('#')}")
    return "\n   ⏸ " + text.format(count=rule.held, command=command)


def _firing(rule: Rule, world: World, _: Translate) -> str:
    symbols = list(world.firing(rule))
    if not symbols:
        return ""
    return "\n   🔴 " + _("firing: {symbols}").format(symbols=some_of(symbols))
