"""What the notifier asks and tells about chats and faults, answered by desk and engine."""

from collections.abc import Awaitable, Callable

from bot.alerts.engine import Engine
from bot.app.desk import Desk
from bot.notify.item import Reader
from bot.notify.port import DATABASE, REFUSED
from bot.store.records import ChatRow


class NotifierChats:
    """The chats of the desk, as the notifier sees them."""

    def __init__(
        self, desk: Desk, engine: Engine, move: Callable[[int, int], Awaitable[None]]
    ) -> None:
        self._desk = desk
        self._engine = engine
        self._move = move

    def reader(self, chat_id: int) -> Reader:
        return self._desk.reader(chat_id)

    def row(self, chat_id: int) -> ChatRow:
        return self._desk.chats.get(chat_id) or ChatRow(chat_id)

    def changed(self, row: ChatRow) -> None:
        self._desk.chats[row.chat_id] = row

    async def move(self, old: int, new: int) -> None:
        await self._move(old, new)

    def is_on(self, rule_id: str, symbol: str, episode: int) -> bool:
        return self._engine.is_on(rule_id, symbol, episode)


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
        self._topics: set[str] = set()  # whose end was told

    def raised(self, kind: str, text: str) -> None:
        if kind == REFUSED:
            self._happened(text)
        elif kind.startswith("topic "):
            if kind not in self._topics:
                self._topics.add(kind)
                self._happened(text)
        elif kind != DATABASE:
            self._raised(kind, text)

    def cleared(self, kind: str) -> None:
        if kind != DATABASE:
            self._cleared(kind)
