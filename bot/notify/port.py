"""What the notifier needs of the program around it: chats, and somewhere to say what is wrong."""

from typing import Protocol

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


UNREACHABLE = "telegram"  # the server does not answer; cleared
TOKEN = "token"  # noqa: S105 - the server refuses it; cleared
DATABASE = "database"  # it cannot be written; cleared
REFUSED = "refused"  # a message that the server will not take and that is therefore lost


class Faults(Protocol):
    """Where faults go. One that lasts is raised again and again: telling once is theirs.

    Kinds are those above, `chat <id>` (out of reach; cleared with the next message that arrives)
    and `topic <chat id> <topic>` (deleted; its messages go to the general topic).
    """

    def raised(self, kind: str, text: str) -> None:
        """It began or goes on; the text says what is wrong and what becomes of it."""

    def cleared(self, kind: str) -> None:
        """It is over, or never was."""
