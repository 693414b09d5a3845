"""The button under a grouped message: the rest of what it tells."""

from bot.chat.answer import Answer, Call
from bot.chat.world import World


def press(call: Call, world: World) -> Answer:
    """`more:<row id>`; a row of another chat is not looked up."""
    _ = call.translate
    text = call.argument
    row_id = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    written = world.more(call.chat.chat_id, row_id) if row_id else None
    if written is None:
        return Answer(toast=_("This is too long ago; it is no longer kept."))
    return Answer(replies=(written,))
