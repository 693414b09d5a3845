"""The terminal as a channel: each message as plain text."""

import sys
from itertools import count
from typing import TextIO

from bot.notify.channel import Outcome, Sent, Written
from bot.notify.markup import plain_text


class Console:
    """Prints what would be sent; everything arrives."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._ids = count(1)

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        message_id = written.edit_of or next(self._ids)
        edited = " (edited)" if written.edit_of else ""
        place = f"chat {chat_id}" + (f", topic {topic}" if topic is not None else "")
        text = plain_text(written.text).replace("\n", "\n  ")
        print(f"── {place}{edited}\n  {text}\n", file=self._out, flush=True)
        return Sent(message_id)
