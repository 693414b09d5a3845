"""What the notifier needs of the program around it: chats, storms, where to say what is wrong."""

from typing import Protocol

from bot.alerts.event import Event
from bot.notify.item import Reader
from bot.store.records import ChatRow


class Chats(Protocol):
    """What the notifier asks and tells about chats; the app keeps them."""

    def reader(self, chat_id: int) -> Reader:
        """In which language and zone to write to a chat."""

    def row(self, chat_id: int) -> ChatRow:
        """The chat as it is now, a fresh row for one that is not known."""

    def changed(self, row: ChatRow) -> None:
        """A chat as an outcome left it; the notifier stores it."""

    async def move(self, old: int, new: int) -> None:
        """Follows a group that became a supergroup, in the store and everywhere else."""

    def is_on(self, rule_id: str, symbol: str, episode: int) -> bool:
        """Whether that episode (the event's `since`) is still on."""


class Storms(Protocol):
    """Counts the messages that one rule alone causes in a chat, and pauses it where too many."""

    def is_full(self, chat_id: int, rule_id: str, now: int) -> bool:
        """Whether the next message of that rule alone is one too many."""

    def sent(self, chat_id: int, rule_id: str, now: int) -> None:
        """A message of that rule alone went to the chat, or may have."""

    async def pause(self, chat_id: int, topic: int | None, event: Event) -> None:
        """Holds the alerts of the event's rule in the chat, which is told so; stored together.

        Raises:
            StoreError: nothing was stored.
        """


class _NoStorms:
    """No rule ever causes too many."""

    def is_full(self, chat_id: int, rule_id: str, now: int) -> bool:  # noqa: ARG002 - the protocol's
        return False

    def sent(self, chat_id: int, rule_id: str, now: int) -> None:
        """Nothing is counted."""

    async def pause(self, chat_id: int, topic: int | None, event: Event) -> None:
        """Nothing is paused."""


NO_STORMS = _NoStorms()


UNREACHABLE = "telegram"  # the server does not answer; cleared
TOKEN = "token"  # noqa: S105 - the server refuses it; cleared
DATABASE = "database"  # it cannot be written; cleared
REFUSED = "refused"  # a message that the server will not take and that is therefore lost


class Faults(Protocol):
    """Where faults go. One that lasts is raised again and again: telling once is theirs.

    Kinds are those above, `chat <id>` (out of reach; cleared with the next message that arrives)
    and `topic <chat id> <topic>` (deleted; its messages go to the general topic; of that itself,
    `general`: it takes none, and they are lost).
    """

    def raised(self, kind: str, text: str) -> None:
        """It began or goes on; the text says what is wrong and what becomes of it."""

    def cleared(self, kind: str) -> None:
        """It is over, or never was."""
