"""/mute and /unmute: alerts are decided as ever, but the chat is left in peace."""

import msgspec

from bot.chat.answer import Answer, Call, reply
from bot.chat.words import code, pointed, some_of
from bot.chat.world import World
from bot.locale import formats
from bot.notify.channel import Button
from bot.notify.markup import escape
from bot.rules.parser import ConditionError, parse_duration

_DEFAULT = "1h"
_SHORTEST, _LONGEST = 60_000, 30 * 86_400_000  # ms


def mute(call: Call, world: World) -> Answer:
    _ = call.translate
    text = call.argument or _DEFAULT
    try:
        time = parse_duration(text)
    except ConditionError as error:
        return reply(
            "\n".join(
                (
                    _("I cannot read this time; nothing was changed:"),
                    pointed(text, error.column),
                    escape(error.message),
                    _("Example: {line}").format(line=code("/mute 2h")),
                )
            )
        )
    if not _SHORTEST <= time <= _LONGEST:
        return reply(
            _("A mute lasts 1 minute to 30 days. Example: {line}").format(line=code("/mute 2h"))
        )
    return _muted(call, world, time)


def press(call: Call, world: World) -> Answer:
    """The Mute buttons under an alert: `mute:<seconds>`."""
    _ = call.translate
    text = call.argument
    time = int(text) * 1000 if text.isascii() and text.isdecimal() and len(text) < 8 else 0
    if not _SHORTEST <= time <= _LONGEST:
        return Answer(toast=_("This button does nothing any more."))
    return _muted(call, world, time)


def _muted(call: Call, world: World, time: int) -> Answer:
    _ = call.translate
    until = world.now + time
    row = msgspec.structs.replace(call.chat, muted_until=until)
    clock = formats.moment(until, call.chat.timezone)
    said = _("Muted for {time}, until {clock}.").format(time=formats.duration(time), clock=clock)
    text = said + " " + _("At the end you hear what is still on.")
    answer = reply(text, Button(_("Unmute"), "unmute"))
    toast = said if call.request.callback_id else ""
    return Answer(replies=answer.replies, chats=(row,), toast=toast)


def unmute(call: Call, world: World) -> Answer:
    """Also the button `unmute`."""
    _ = call.translate
    if call.chat.muted_until <= world.now:
        text = _("This chat is not muted.")
        if call.request.callback_id:
            return Answer(toast=text)
        return reply(text)
    on = [(rule, list(world.firing(rule))) for rule in world.rules(call.chat.chat_id)]
    lines = [f"🔴 <b>{escape(rule.name)}</b>: {some_of(names)}" for rule, names in on if names]
    head = _("Unmuted. Still on:") if lines else _("Unmuted. Nothing is on.")
    row = msgspec.structs.replace(call.chat, muted_until=0)
    answer = reply("\n".join((head, *lines[:30])))
    return Answer(replies=answer.replies, chats=(row,))
