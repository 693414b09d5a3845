"""What a command comes to: texts to send, and changes to commit. Nothing is done here."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.alerts.event import Event
from bot.chat.access import Access, Reason
from bot.chat.request import Request
from bot.chat.world import World
from bot.locale import Translate
from bot.notify.channel import Button, Written
from bot.notify.payload import edit_row, outbox_row_for, reply_row
from bot.rules.rule import Target
from bot.store.records import ChatRow, Commit, Watch


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one update: committed with its id in one transaction, then sent.

    `toast` answers a press at once, as plain text; it may be lost, so nothing depends on it.
    `reason` says why the update was obeyed or not; None where access was not asked.
    """

    replies: tuple[Written, ...] = ()
    toast: str = ""
    watches: tuple[Watch, ...] = ()  # added
    unwatched: tuple[tuple[int, int], ...] = ()  # (chat_id, number)
    resumed: tuple[tuple[int, str], ...] = ()  # (chat_id, rule_id): paused no more
    edits: tuple[Written, ...] = ()  # of earlier messages, behind what changed them before
    chats: tuple[ChatRow, ...] = ()  # as they are now
    claim: int | None = None  # the user who becomes an admin by the one-time code
    sample: Event | None = None  # of /test: told to this chat like any other event
    moved_to: int = 0  # the supergroup that this chat became
    reason: Reason | None = None

    @property
    def changes(self) -> bool:
        """Something but the chat's own row becomes another."""
        return bool(
            self.watches
            or self.unwatched
            or self.resumed
            or self.claim
            or self.sample
            or self.moved_to
        )

    def commit(self, request: Request, now: int, facts: dict[str, str]) -> Commit:
        """The answer as one transaction with its update's id.

        `now` (epoch ms) is the notifier's clock, `facts` what a claim becomes.
        """
        target = Target(request.chat_id, request.topic)
        replies = tuple(
            reply_row(request.update_id, target, written, now, number)
            for number, written in enumerate(self.replies)
        )
        edits = tuple(
            edit_row(f"{request.update_id} {number}", target, written, now)
            for number, written in enumerate(self.edits)
        )
        samples = () if self.sample is None else (outbox_row_for(self.sample, target, now),)
        return Commit(
            outbox=replies + edits + samples,
            watches=self.watches,
            unwatched=self.unwatched,
            resumed=self.resumed,
            chats=self.chats,
            facts=facts,
            update_id=request.update_id,
            at=now,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """A permitted command or press, with what its handler needs beside the world.

    `argument` is what follows the command or the button's prefix, and begins at `start` of the
    request's text. `chat` is the chat's row, or the one that it gets by this very request.
    """

    request: Request
    argument: str
    start: int
    chat: ChatRow
    access: Access
    translate: Translate


Handler = Callable[[Call, World], Answer]


def reply(text: str, *buttons: Button) -> Answer:
    """An answer of one message, its buttons in one row."""
    return Answer(replies=(Written(text, (buttons,) if buttons else ()),))


def with_chat(answer: Answer, chat: ChatRow) -> Answer:
    """The answer, with this row of the chat unless it has one already."""
    return answer if answer.chats else replace(answer, chats=(chat,))
