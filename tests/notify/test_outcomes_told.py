"""What becomes of a message, its row and its chat: the notifier, a database file, and HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.notify.bot_api import BotApi
from bot.notify.channel import Button, Written
from bot.notify.item import Reader
from bot.notify.notifier import Notifier, Settings
from bot.notify.pacing import Limits
from bot.notify.payload import outbox_row_for, reply_row
from bot.rules.rule import Target
from bot.store.records import ChatRow, Commit, OutboxRow, OutboxStatus
from bot.store.sql import SqlStore
from tests.doubles.telegram import Fault, TelegramDouble
from tests.notify.events import AT, event

MARK = "Possible repeat #"


class Desk:
    """A program's half that delivers: chats, faults and the clock are plain fields."""

    def __init__(self, telegram: TelegramDouble, store: SqlStore) -> None:
        self.telegram = telegram
        self.store = store
        self.chats: dict[int, ChatRow] = {}
        self.faults: dict[str, str] = {}
        self.skipped = 0  # ms added to the clock
        self.begun = time.monotonic()
        self.api = BotApi(telegram.token, telegram.url, read_timeout=0.5, connect_timeout=5)
        limits = Limits(per_chat=0.05, overall=1_000.0)
        self.notifier = Notifier(store, self.api, self, self, self.now, Settings(limits=limits))

    def now(self) -> int:
        return 1_000_000 + self.skipped + round((time.monotonic() - self.begun) * 1_000)

    def reader(self, _: int) -> Reader:
        return Reader()

    def row(self, chat_id: int) -> ChatRow:
        return self.chats.get(chat_id, ChatRow(chat_id))

    def changed(self, row: ChatRow) -> None:
        self.chats[row.chat_id] = row

    async def move(self, old: int, new: int) -> None:
        await self.store.move_chat(old, new)

    def is_on(self, rule_id: str, symbol: str, episode: int) -> bool:
        return True

    def raised(self, kind: str, text: str) -> None:
        self.faults[kind] = text

    def cleared(self, kind: str) -> None:
        self.faults.pop(kind, None)

    async def tell(self, made: Event, chat_id: int = 7, topic: int | None = None) -> None:
        row = outbox_row_for(made, Target(chat_id, topic), self.now())
        await self.store.commit(Commit(outbox=(row,)))

    async def alerts(self, chat_id: int = 7) -> list[OutboxRow]:
        rows = await self.store.chat_rows(chat_id, "file:hot-longs", "BTCUSDT", AT)
        return sorted(rows, key=lambda row: row.id)

    async def turns(self, seconds: float = 0.3) -> None:
        """The scheduler's ticks for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.notifier.drain()
            await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], object]) -> None:
        """Ticks until it holds, with the hours that takes."""
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, (self.faults, self.texts())
            await self.notifier.drain()
            await asyncio.sleep(0.01)
            due = await self.store.next_due(self.now())
            self.skipped += max((due or 0) - self.now(), 0)

    async def settled(self) -> None:
        deadline = time.monotonic() + 30
        while await self.store.pending():
            assert time.monotonic() < deadline, (self.faults, self.texts())
            await self.until(lambda: True)
            await self.turns(0.02)
            due = await self.store.next_due(self.now())
            self.skipped += max((due or 0) - self.now(), 0)

    def texts(self, chat_id: int = 7) -> list[str]:
        return [message.text for message in self.telegram.to(chat_id)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqlStore(f"sqlite:///{tmp_path}/outbox.db")
    await store.open()
    async with TelegramDouble() as telegram:
        for chat_id in (7, 8):
            telegram.add_chat(chat_id, "private")
        telegram.add_chat(-100, topics=(42,))
        made = Desk(telegram, store)
        yield made
        await made.notifier.stop(0.1)
        await made.api.close()
    await store.close()


@pytest.mark.parametrize("fault", [Fault.too_many(1), Fault.html(429)])
async def test_what_was_certainly_not_sent_is_sent_again_without_a_word(
    desk: Desk, fault: Fault
) -> None:
    desk.telegram.fail_next(fault)
    await desk.tell(event())
    await desk.turns(1.2)
    await desk.settled()
    (text,) = desk.texts()
    assert MARK not in text
    (row,) = await desk.alerts()
    assert (row.status, row.doubtful, row.attempts) == (OutboxStatus.SENT, False, 2)
    assert desk.telegram.trespasses == 0
    assert desk.faults == {}


async def test_a_server_out_of_reach_is_waited_for_without_a_word(desk: Desk) -> None:
    await desk.telegram.go_down()
    await desk.tell(event())
    await desk.until(lambda: "telegram" in desk.faults)  # the admins hear of it
    await desk.telegram.come_back()
    await desk.settled()
    (text,) = desk.texts()
    assert MARK not in text
    assert desk.faults == {}


@pytest.mark.parametrize(
    ("fault", "copies"),
    [
        (Fault.drop(acted=True), 2),
        (Fault.rst(acted=False), 1),
        (Fault.cut_short(), 2),
        (Fault.slow(0.8), 2),
        (Fault.html(502), 1),
        (Fault.html(200), 1),
        (Fault.portal(), 1),
        (Fault.text('{"ok":true}'), 2),
        (Fault.refuse(500, "Internal Server Error"), 1),
    ],
)
async def test_what_may_have_arrived_is_sent_again_with_a_mark(
    desk: Desk, fault: Fault, copies: int
) -> None:
    desk.telegram.fail_next(fault)
    await desk.tell(event())
    await desk.settled()
    texts = desk.texts()
    assert [MARK in text for text in texts] == [False, True][2 - copies :]
    (row,) = await desk.alerts()
    assert (row.status, row.doubtful) == (OutboxStatus.SENT, True)
    assert row.message_id == desk.telegram.to(7)[-1].message_id


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN"),
    ],
)
async def test_a_chat_out_of_reach_is_left_alone_and_told_when_it_is_back(
    desk: Desk, code: int, description: str
) -> None:
    desk.telegram.refuse(7, code, description)
    await desk.tell(event())
    await desk.until(lambda: "chat 7" in desk.faults)
    assert description in desk.faults["chat 7"]
    assert "Its watches are kept" in desk.faults["chat 7"]
    await desk.tell(event(), chat_id=8)
    await desk.until(lambda: desk.texts(8))  # the others go on
    await desk.turns()
    requests = [one for one in desk.telegram.requests if one.parameters["chat_id"] == "7"]
    assert len(requests) == 1  # it is not asked for again and again
    (saved,) = [chat for chat in (await desk.store.load()).chats if chat.chat_id == 7]
    assert saved.disabled == description
    desk.telegram.unblock(7)
    enabled = ChatRow(7)  # what any update from it makes of it
    desk.changed(enabled)
    await desk.store.commit(Commit(chats=(enabled,)))
    await desk.settled()
    (text,) = desk.texts()
    assert MARK not in text
    assert "chat 7" not in desk.faults


async def test_a_group_that_moved_is_followed(desk: Desk) -> None:
    desk.telegram.add_chat(-5, "group")
    desk.telegram.move(-5, -1005)
    await desk.tell(event(), chat_id=-5)
    await desk.settled()
    assert (len(desk.texts(-1005)), desk.texts(-5), desk.faults) == (1, [], {})
    (row,) = await desk.alerts(-1005)
    assert row.status is OutboxStatus.SENT


async def test_markup_that_is_refused_is_left_out(desk: Desk) -> None:
    desk.telegram.fail_next(Fault.refuse(400, "Bad Request: can't parse entities: x"))
    await desk.tell(event(note="<&>"))
    await desk.settled()
    (message,) = desk.telegram.to(7)
    assert "📝 <&>" in message.text
    assert message.entities == []
    assert message.data  # its buttons are kept


async def test_a_topic_that_is_gone_gives_way_to_the_general_one(desk: Desk) -> None:
    desk.telegram.delete_topic(-100, 42)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        await desk.tell(event(symbol), chat_id=-100, topic=42)
        await desk.settled()
    assert [message.topic for message in desk.telegram.to(-100)] == [None, None]
    assert "Topic 42 of chat -100 is gone" in desk.faults["topic -100 42"]
    sends = [one for one in desk.telegram.requests if one.method == "sendMessage"]
    assert len(sends) == 3  # the second alert did not try the topic again
    (row,) = await desk.alerts(-100)
    assert (row.status, row.topic) == (OutboxStatus.SENT, None)


@pytest.mark.parametrize(
    "description", ["Bad Request: BUTTON_DATA_INVALID", "Bad Request: something new"]
)
async def test_a_message_that_is_refused_is_not_lost_silently(desk: Desk, description: str) -> None:
    desk.telegram.fail_next(Fault.refuse(400, description))
    await desk.tell(event())
    await desk.until(lambda: "refused" in desk.faults)
    assert desk.faults["refused"] == f"A message to chat 7 is lost: {description}"
    await desk.settled()
    (row,) = await desk.alerts()
    assert (row.status, row.error) == (OutboxStatus.DEAD, description)
    await desk.tell(event("ETHUSDT"))  # and nothing behind it is held up
    await desk.settled()
    assert len(desk.texts()) == 1


async def test_a_token_that_is_refused_for_a_while_loses_nothing(desk: Desk) -> None:
    desk.telegram.deactivated = True
    await desk.tell(event())
    await desk.until(lambda: "token" in desk.faults)
    assert "check TELEGRAM_TOKEN" in desk.faults["token"]
    desk.telegram.deactivated = False
    await desk.settled()
    (text,) = desk.texts()
    assert (MARK in text, desk.faults) == (False, {})


async def test_a_word_on_a_deleted_message_still_arrives(desk: Desk) -> None:
    await desk.tell(event())
    await desk.settled()
    desk.telegram.delete(desk.telegram.to(7)[0])
    await desk.tell(event(kind=Kind.RESOLVED))
    await desk.settled()
    replies = [message.reply_to for message in desk.telegram.to(7)]
    assert replies == [None, None]


async def test_an_edit_of_a_deleted_message_alarms_nobody(desk: Desk) -> None:
    await desk.tell(event())
    await desk.settled()
    message = desk.telegram.to(7)[0]
    desk.telegram.delete(message)
    written = Written("over", ((Button("x", "y"),),), edit_of=message.message_id)
    row = reply_row(1, Target(7, None), written, desk.now())
    await desk.store.commit(Commit(outbox=(row,)))
    await desk.settled()
    assert desk.faults == {}
