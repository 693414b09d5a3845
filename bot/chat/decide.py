"""From a request to its answer: who asks, what for, whether they may, and what comes of it."""

import difflib
from dataclasses import replace

import msgspec

from bot.chat.access import Access, Need, Verdict
from bot.chat.answer import Answer, Call, Handler, reply, with_chat
from bot.chat.commands import start
from bot.chat.commands.help import hint
from bot.chat.registry import BUTTONS, COMMANDS
from bot.chat.request import Command, Request, RequestKind, read_command
from bot.chat.words import code
from bot.chat.world import World
from bot.locale import ENGLISH, Translate, languages, translator
from bot.store.records import ChatRow


def decide(request: Request, world: World, access: Access) -> Answer:
    """The answer to a request; nothing is done, and nothing but the world is asked."""
    match request.kind:
        case RequestKind.TEXT:
            return _text(request, world, access)
        case RequestKind.PRESS:
            return _press(request, world, access)
        case RequestKind.MOVED:
            return Answer(moved_to=request.moved_to)
        case RequestKind.GONE:
            return _gone(request, world)
        case RequestKind.SIGN:
            return _unanswered(request, world)


def apology(request: Request, world: World, access: Access) -> Answer:
    """What is said when our own code failed; nothing to whom a command is not answered."""
    _ = _translate(request, world)
    if request.kind is RequestKind.PRESS:
        return Answer(toast=_("Something went wrong here; nothing was changed."))
    command = read_command(request.text)
    if command is None or not command.is_for(world.bot_name):
        return Answer()
    entry = COMMANDS.get(command.name)
    verdict = access.command(request, entry.need if entry else Need.LOOK)
    if not verdict.allowed:
        return Answer(reason=verdict.reason)
    return reply(
        _("Something went wrong here, and nothing was changed. The admin finds it in the log.")
    )


def _text(request: Request, world: World, access: Access) -> Answer:
    command = read_command(request.text)
    if command is None:
        return _plain(request, world, access)
    if not command.is_for(world.bot_name):
        return _unanswered(request, world)
    if command.name == "start" and access.is_claim(request, command.argument):
        call = _call(request, world, access, command.argument, command.start)
        return with_chat(start.claimed(call), call.chat)
    entry = COMMANDS.get(command.name)
    verdict = access.command(request, entry.need if entry else Need.LOOK)
    if not verdict.allowed:
        return _refused(request, world, verdict)
    if entry is None:
        if not request.is_private and not command.bot_name:  # it may be meant for another bot
            return _unanswered(request, world)
        return replace(_unknown(command, request, world), reason=verdict.reason)
    call = _call(request, world, access, command.argument, command.start)
    return _handled(entry.handler, call, world, verdict)


def _plain(request: Request, world: World, access: Access) -> Answer:
    """Text that is no command: in a private chat somebody may need a hint."""
    verdict = access.command(request, Need.LOOK)
    if not request.is_private or not verdict.allowed:
        return _unanswered(request, world)
    call = _call(request, world, access, request.text.strip(), 0)
    return _handled(hint, call, world, verdict)


def _press(request: Request, world: World, access: Access) -> Answer:
    name, _colon, argument = request.data.partition(":")
    button = BUTTONS.get(name)
    _ = _translate(request, world)
    if button is None:
        text = _("This button is from another version of the bot; it does nothing any more.")
        return replace(_unanswered(request, world), toast=text)
    verdict = access.press(request, button.need)
    if not verdict.allowed:
        return _refused(request, world, verdict)
    call = _call(request, world, access, argument, 0)
    return _handled(button.handler, call, world, verdict)


def _handled(handler: Handler, call: Call, world: World, verdict: Verdict) -> Answer:
    answer = replace(handler(call, world), reason=verdict.reason)
    if not call.access.command(call.request, Need.LOOK).allowed:
        known = world.chat(call.chat.chat_id) is not None
        # Who is not served sets nothing of the chat, and leaves nothing behind.
        return answer if known and answer.chats else replace(answer, chats=())
    if call.chat == world.chat(call.chat.chat_id):
        return answer
    return with_chat(answer, call.chat)


def _refused(request: Request, world: World, verdict: Verdict) -> Answer:
    answer = replace(_unanswered(request, world), reason=verdict.reason)
    if not verdict.answered:
        return answer
    _ = _translate(request, world)
    text = _("Only the admins of this bot change anything here.")
    if request.kind is RequestKind.PRESS:
        return replace(answer, toast=text)
    return replace(answer, replies=reply(text).replies)


def _unknown(command: Command, request: Request, world: World) -> Answer:
    _ = _translate(request, world)
    text = _("There is no command {name}.").format(name=code(f"/{command.name}"))
    close = difflib.get_close_matches(command.name, COMMANDS, n=1, cutoff=0.5)
    if close:
        text += " " + _("Did you mean {name}?").format(name=f"/{close[0]}")
    return reply(text + "\n" + _("/help shows everything."))


def _unanswered(request: Request, world: World) -> Answer:
    """Nothing is said; but a chat that writes can be written to again."""
    row = world.chat(request.chat_id)
    if row is None or not row.disabled:
        return Answer()
    return Answer(chats=(msgspec.structs.replace(row, disabled=""),))


def _gone(request: Request, world: World) -> Answer:
    row = world.chat(request.chat_id)
    if row is None or row.disabled:
        return Answer()
    reason = "blocked by the user" if request.is_private else "removed from the chat"
    return Answer(chats=(msgspec.structs.replace(row, disabled=reason),))


def _call(request: Request, world: World, access: Access, argument: str, start: int) -> Call:
    chat = _row(request, world)
    return Call(request, argument, start, chat, access, translator(chat.language))


def _row(request: Request, world: World) -> ChatRow:
    """The chat's row as this request leaves it."""
    row = world.chat(request.chat_id) or ChatRow(request.chat_id)
    return msgspec.structs.replace(
        row,
        kind=request.chat_kind,
        title=request.chat_title or row.title,
        language=row.language or _language(request.user_language),
        disabled="",
    )


def _language(tag: str) -> str:
    """The language to begin with, by the user's Telegram: `zh` of `zh-hans`, else English."""
    short = tag.partition("-")[0].lower()
    return short if short in languages() else ENGLISH


def _translate(request: Request, world: World) -> Translate:
    return translator(_row(request, world).language)
