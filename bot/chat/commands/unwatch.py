"""/unwatch by number, by symbol or all; what is removed is shown, to be typed again."""

import re

from bot.chat.answer import Answer, Call, reply
from bot.chat.words import code, find_symbol, pages_of, unknown_symbol, watch_names
from bot.chat.world import World
from bot.notify.channel import Written
from bot.store.records import Watch

_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)


def unwatch(call: Call, world: World) -> Answer:
    _ = call.translate
    argument = call.argument
    watches = world.watches(call.chat.chat_id)
    if not argument:
        return reply(
            _("Say which: {number}, {symbol} or {all}. /list shows the numbers.").format(
                number=code("/unwatch 3"), symbol=code("/unwatch BTCUSDT"), all=code("/unwatch all")
            )
        )
    if argument.lower() == "all":
        return _removed(call, list(watches)) if watches else reply(_("There is nothing to remove."))
    number = _NUMBER.fullmatch(argument)
    if number is not None:
        found = [watch for watch in watches if watch.number == int(number[1])]
        return _removed(call, found) if found else reply(_no_watch(call, int(number[1])))
    return _by_symbol(call, world)


def press(call: Call, world: World) -> Answer:
    """The Undo and Stop buttons: `unwatch:<number>`."""
    _ = call.translate
    number = _NUMBER.fullmatch(call.argument)
    watches = world.watches(call.chat.chat_id)
    found = [watch for watch in watches if number and watch.number == int(number[1])]
    if not found:
        return Answer(toast=_("This watch is gone already."))
    answer = _removed(call, found)
    toast = _("Watch #{number} is removed.").format(number=found[0].number)
    return Answer(replies=answer.replies, unwatched=answer.unwatched, toast=toast)


def _by_symbol(call: Call, world: World) -> Answer:
    """Only watches of this symbol alone: another symbol's watch is not to be lost with it."""
    _ = call.translate
    wanted = find_symbol(call.argument, world) or call.argument.upper()
    named = [(watch, watch_names(watch, world)) for watch in world.watches(call.chat.chat_id)]
    found = [watch for watch, names in named if names == [wanted]]
    if found:
        return _removed(call, found)
    shared = [watch for watch, names in named if wanted in names]
    if shared:
        numbers = ", ".join(f"#{watch.number}" for watch in shared)
        return reply(
            _(
                "{symbol} is watched together with others, by {numbers}; remove it by number."
            ).format(symbol=code(wanted), numbers=numbers)
        )
    if find_symbol(call.argument, world) is None:
        return reply(unknown_symbol(call.argument, world, _))
    return reply(_("No watch of this chat is about {symbol}.").format(symbol=code(wanted)))


def _no_watch(call: Call, number: int) -> str:
    _ = call.translate
    return _("This chat has no watch #{number}. /list shows what there is.").format(number=number)


def _removed(call: Call, watches: list[Watch]) -> Answer:
    _ = call.translate
    head = (
        _("Removed. To have it again, send:")
        if len(watches) == 1
        else _("{count} watches removed. To have them again, send:").format(count=len(watches))
    )
    rows = [code(f"/watch {watch.line}") for watch in watches]
    texts = ["\n".join(page) for page in pages_of(rows)]
    texts[0] = f"{head}\n{texts[0]}"
    return Answer(
        replies=tuple(map(Written, texts)),
        unwatched=tuple((watch.chat_id, watch.number) for watch in watches),
    )
