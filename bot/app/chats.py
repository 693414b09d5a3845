"""What the notifier asks and tells about chats and faults, answered by the desk."""

from collections.abc import Callable, Mapping

from bot.app.desk import Desk
from bot.notify.item import Reader
from bot.notify.port import DATABASE, REFUSED
from bot.store.records import ChatRow


class NotifierChats:
    """The chats of the desk, as the notifier sees them."""

    def __init__(self, desk: Desk, moved: Callable[[int, int, Mapping[str, str]], None]) -> None:
        self._desk = desk
        self._moved = moved

    def reader(self, chat_id: int) -> Reader:
        return self._desk.reader(chat_id)

    def row(self, chat_id: int) -> ChatRow:
        return self._desk.chats.get(chat_id) or ChatRow(chat_id)

    def changed(self, row: ChatRow) -> None:
        self._desk.chats[row.chat_id] = row

    def moved(self, old: int, new: int, renamed: Mapping[str, str]) -> None:
        self._moved(old, new, renamed)


class NotifierFaults:
    """Faults of sending. Those of the store are told by who writes decisions to it."""

    def __init__(
        self,
        raised: Callable[[str, str], None],
        cleared: Callable[[str], None],
        happened: Callable[[str], None],
    ) -> None:
        """`raised` is for what lasts, `happened` for what is lost or gone for good."""
        self._raised = raised
        self._cleared = cleared
        self._happened = happened

    def raised(self, kind: str, text: str) -> None:
        if kind == REFUSED or kind.startswith("topic "):
            self._happened(text)
        elif kind != DATABASE:
            self._raised(kind, text)

    def cleared(self, kind: str) -> None:
        self._cleared(kind)
