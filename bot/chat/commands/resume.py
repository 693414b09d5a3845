"""/resume and its button: a rule that was paused for telling too much tells again."""

import difflib
from collections.abc import Sequence

from bot.chat.answer import Answer, Call, reply
from bot.chat.words import code
from bot.chat.world import PausedRule, World
from bot.locale import Translate
from bot.notify.channel import Written
from bot.notify.keyboard import rule_handle
from bot.notify.markup import escape, plain_text

_MOST_LINES = 20
_LONGEST_TOAST = 200  # characters (Bot API, answerCallbackQuery)


def resume(call: Call, world: World) -> Answer:
    """All that is paused in the chat, or what is named."""
    _ = call.translate
    paused = world.paused(call.chat.chat_id)
    if not call.argument:
        return _resumed(call, paused) if paused else reply(_("No rule is paused in this chat."))
    found = _named(call.argument, [rule.name for rule in paused])
    if not found:
        return reply(_not_found(call, world, paused))
    return _resumed(call, [rule for rule in paused if rule.name in found])


def press(call: Call, world: World) -> Answer:
    """The button under the notice of a pause: `resume:<handle>`."""
    _ = call.translate
    chat_id = call.chat.chat_id
    found = [one for one in world.paused(chat_id) if rule_handle(one.rule_id) == call.argument]
    if found:
        answer = _resumed(call, found)
        text = answer.replies[0].text
        # It may be the notice of an earlier pause.
        shown = dict.fromkeys([call.request.message_id, *(rule.message_id for rule in found)])
        edits = tuple(Written(text, edit_of=each) for each in shown if each is not None)
        toast = plain_text(text)[:_LONGEST_TOAST]
        return Answer(toast=toast, resumed=answer.resumed, edits=edits)
    if any(rule_handle(rule.id) == call.argument for rule in world.rules(chat_id)):
        text = _("This rule is not paused here any more; its alerts are sent.")
    else:
        text = _("This rule is no more: it was removed, or it ended. Nothing of it is held.")
    return Answer(toast=text, edits=(Written(text, edit_of=call.request.message_id),))


def _named(argument: str, names: Sequence[str]) -> set[str]:
    """Those that are meant: by name, or by a watch's number with or without its sign."""
    wanted = argument.strip().casefold()
    return {name for name in names if name.casefold() in (wanted, f"#{wanted}")}


def _not_found(call: Call, world: World, paused: Sequence[PausedRule]) -> str:
    _ = call.translate
    telling = [rule.name for rule in world.rules(call.chat.chat_id)]
    if _named(call.argument, telling):
        text = _("{name} is not paused in this chat; its alerts are sent.")
        return text.format(name=code(call.argument))
    text = _("No rule of this chat is called {name}.").format(name=code(call.argument[:40]))
    names = [rule.name for rule in paused]
    close = difflib.get_close_matches(call.argument[:40], [*names, *telling], n=1)
    if close:
        text += " " + _("Did you mean {name}?").format(name=code(close[0]))
    if names:
        named = ", ".join(code(name) for name in names[:_MOST_LINES])
        text += " " + _("Paused: {names}.").format(names=named)
    return text


def _resumed(call: Call, rules: Sequence[PausedRule]) -> Answer:
    """They go on; each notice that says otherwise is corrected and loses its button."""
    _ = call.translate
    lines = [_goes_on(rule, _) for rule in rules[:_MOST_LINES]]
    if more := len(rules) - len(lines):
        lines.append(_("and {count} more").format(count=more))
    if any(rule.held for rule in rules):
        lines.append(_("What is too late by now is only counted."))
    return Answer(
        replies=(Written("\n".join(lines)),),
        resumed=tuple((call.chat.chat_id, rule.rule_id) for rule in rules),
        edits=tuple(
            Written(_goes_on(rule, _), edit_of=rule.message_id)
            for rule in rules
            if rule.message_id is not None
        ),
    )


def _goes_on(rule: PausedRule, _: Translate) -> str:
    name = f"<b>{escape(rule.name)}</b>"
    if not rule.held:
        return _("▶️ {name} goes on; nothing of it was held.").format(name=name)
    if rule.held == 1:
        return _("▶️ {name} goes on; one held alert follows.").format(name=name)
    text = _("▶️ {name} goes on; {count} held alerts follow together.")
    return text.format(name=name, count=rule.held)
