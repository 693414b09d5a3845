"""What is to be written, and for whom."""

import msgspec

from bot.alerts.event import Event


class Reader(msgspec.Struct, frozen=True):
    """For whom it is written: a language as Telegram names it, a zone of the tz database."""

    language: str = "en"
    timezone: str = "UTC"


class Item(msgspec.Struct, frozen=True):
    """An alert to be written about.

    `row_id` is its outbox row's, `late` how long ago it was decided (ms), `doubt` the short id
    of a message that may have arrived before, "" where none may. `flapping`: it also says that
    what follows is summed up.
    """

    row_id: int
    event: Event
    late: int = 0
    doubt: str = ""
    flapping: bool = False
