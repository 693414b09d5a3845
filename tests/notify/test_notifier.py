"""The notifier on a store and a Telegram over real HTTP."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import msgspec
import pytest

from bot.alerts.lifecycle import Kind
from bot.notify.bot_api import BotApi
from bot.notify.channel import Outcome, Sent, Written
from bot.notify.notifier import Notifier, Settings
from bot.notify.pacing import Limits
from bot.notify.payload import edit_row, notice_row, reply_row
from bot.rules.rule import Target
from bot.store.memory import MemoryStore
from bot.store.port import StoreError
from bot.store.records import ChatRow, Commit, OutboxKind, OutboxRow, OutboxStatus
from tests.doubles import telegram as double
from tests.doubles.telegram import Fault, TelegramDouble
from tests.notify.bench import QUICK, START, Bench, Surroundings
from tests.notify.events import AT, HOUR, T, event


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as made:
        for chat_id in (7, 8, 9):
            made.add_chat(chat_id, "private")
        made.add_chat(-100, topics=(42,))
        yield made


@pytest.fixture
async def bench(telegram: TelegramDouble) -> AsyncIterator[Bench]:
    made = Bench(telegram, MemoryStore(), Settings(limits=QUICK))
    await made.notifier.start()
    yield made
    await made.notifier.stop(1)
    await made.api.close()


async def test_a_committed_alert_is_on_the_wire_at_once(bench: Bench) -> None:
    waits = []
    for number in range(20):  # nothing drains here: a commit's wake alone brings it out
        chat_id = 1_000 + number
        bench.telegram.add_chat(chat_id, "private")
        begun = time.monotonic()
        await bench.tell(bench.alert(event(), chat_id))
        await bench.telegram.wait_for(lambda: bench.telegram.to(chat_id), 30)  # noqa: B023
        waits.append(bench.telegram.to(chat_id)[0].at - begun)
    # Ten times what is promised; `benchmarks/commit_to_wire.py` measures it.
    assert statistics.median(waits) < 0.5


async def test_a_sent_row_keeps_its_message(bench: Bench) -> None:
    await bench.tell(bench.alert(event()))
    await bench.settled()
    (row,) = await bench.rows()
    assert row.status is OutboxStatus.SENT
    assert row.message_id == bench.telegram.messages[0].message_id
    assert row.sent_at is not None


async def test_what_waits_for_a_chat_goes_as_one_message(bench: Bench) -> None:
    await bench.tell(*(bench.alert(event(f"S{n}USDT")) for n in range(3)))
    await bench.settled()
    await bench.tell(*(bench.alert(event(f"L{n}USDT")) for n in range(40)))
    await bench.settled()
    first, second = bench.telegram.messages
    assert first.text.count("Funding in") == 3
    assert "40 alerts" in second.text
    assert "+20 more" in second.text
    rows = await bench.rows()
    assert {row.message_id for row in rows[3:]} == {second.message_id}


async def test_what_comes_while_a_chat_is_held_waits_and_goes_together(
    telegram: TelegramDouble,
) -> None:
    bench = Bench(telegram, MemoryStore(), Settings(limits=Limits(per_chat=0.4)))
    await bench.notifier.start()
    await bench.tell(bench.alert(event("A")))
    await telegram.wait_for(lambda: telegram.messages)
    for symbol in "BCD":
        await bench.tell(bench.alert(event(symbol)))
    await bench.tell(bench.alert(event("A"), chat_id=8))
    await telegram.wait_for(lambda: len(telegram.messages) == 3)
    assert [message.chat_id for message in telegram.messages] == [7, 8, 7]
    last = telegram.messages[2]
    assert last.text.count("Funding in") == 3
    assert last.at - telegram.messages[0].at >= 0.4
    await bench.notifier.stop(1)
    await bench.api.close()


async def test_an_answer_goes_before_queued_alerts(bench: Bench) -> None:
    await bench.tell(
        bench.alert(event("A")),
        reply_row(1, Target(7), Written("the answer"), bench.around.now()),
    )
    await bench.settled()
    assert [message.text.split()[0] for message in bench.telegram.messages] == ["the", "🔔"]


async def test_topics_get_their_own_messages(bench: Bench) -> None:
    await bench.tell(
        bench.alert(event("A"), -100, 42),
        bench.alert(event("B"), -100),
        bench.alert(event("C"), -100, 42),
    )
    await bench.settled()
    assert [(one.topic, one.text.count("Funding")) for one in bench.telegram.messages] == [
        (42, 2),
        (None, 1),
    ]


async def test_a_resolved_message_answers_the_fired_one(bench: Bench) -> None:
    await bench.tell(bench.alert(event()))
    await bench.settled()
    await bench.tell(bench.alert(event(kind=Kind.RESOLVED, at=AT + HOUR)))
    await bench.settled()
    fired, resolved = bench.telegram.messages
    assert resolved.reply_to == fired.message_id
    assert "over after 1h" in resolved.text


async def test_an_edit_changes_what_was_sent(bench: Bench) -> None:
    await bench.tell(bench.alert(event()))
    await bench.settled()
    (message,) = bench.telegram.messages
    edit = Written("ended", edit_of=message.message_id)
    await bench.tell(edit_row("end", Target(7), edit, bench.around.now()))
    await bench.settled()
    assert message.text == "ended"


async def test_an_ambiguous_outcome_is_sent_again_with_a_mark(bench: Bench) -> None:
    bench.telegram.fail_next(Fault.drop(acted=True))
    await bench.tell(bench.alert(event()))
    await bench.until(lambda: bench.notifier.delivery.outcomes["Doubtful"])
    await bench.until(lambda: not bench.notifier._under_way)
    (row,) = await bench.rows()
    assert row.status is OutboxStatus.UNCERTAIN
    assert row.not_before > bench.around.now() + 3_000
    bench.around.skipped += 6_000
    await bench.settled()
    first, repeat = bench.telegram.messages
    assert "Possible repeat" not in first.text
    assert "Possible repeat #" in repeat.text


async def test_what_is_certainly_not_sent_is_sent_later_without_a_mark(bench: Bench) -> None:
    await bench.telegram.go_down()
    await bench.tell(bench.alert(event()))
    await bench.until(lambda: bench.notifier.delivery.outcomes["Later"])
    await bench.telegram.come_back()
    bench.around.skipped += 2_000
    await bench.settled()
    (message,) = bench.telegram.messages
    assert "repeat" not in message.text


async def test_retry_after_is_obeyed_for_its_chat_alone_and_kept(bench: Bench) -> None:
    bench.telegram.fail_next(Fault.too_many(1), chat_id=7)
    await bench.tell(bench.alert(event()), bench.alert(event(), chat_id=8))
    await bench.until(lambda: bench.around.row(7).not_before)
    await bench.until(lambda: bench.telegram.to(7))
    limited, sent = [one.at for one in bench.telegram.requests if one.parameters["chat_id"] == "7"]
    assert sent - limited >= 1.0
    (other,) = bench.telegram.to(8)
    assert other.at - limited < 1.0
    (stored,) = (chat for chat in (await bench.store.load()).chats if chat.chat_id == 7)
    assert stored.not_before == bench.around.row(7).not_before


async def test_a_blocked_chat_is_disabled_and_its_rows_wait(bench: Bench) -> None:
    bench.telegram.block(7)
    await bench.tell(bench.alert(event()), bench.alert(event(), chat_id=8))
    await bench.until(lambda: bench.around.row(7).disabled)
    await bench.until(lambda: bench.telegram.to(8))
    assert "cannot be written to: Forbidden: bot was blocked" in bench.around.faults["chat 7"]
    await bench.until(lambda: not bench.notifier._under_way)
    asked = len(bench.telegram.requests)
    bench.around.skipped += 60_000
    await bench.notifier.drain()
    assert len(bench.telegram.requests) == asked
    bench.telegram.unblock(7)
    enabled = msgspec.structs.replace(bench.around.row(7), disabled="")
    bench.around.changed(enabled)
    await bench.store.commit(Commit(chats=(enabled,)))
    await bench.settled()
    assert len(bench.telegram.to(7)) == 1
    assert "chat 7" not in bench.around.faults


async def test_a_group_that_moved_is_followed(bench: Bench) -> None:
    bench.telegram.move(-100, -200)
    await bench.tell(bench.alert(event(), -100))
    await bench.settled()
    assert [message.chat_id for message in bench.telegram.messages] == [-200]
    assert bench.around.moves == [(-100, -200)]


async def test_a_deleted_topic_goes_to_the_general_one_and_is_reported(bench: Bench) -> None:
    bench.telegram.delete_topic(-100, 42)
    await bench.tell(bench.alert(event(), -100, 42))
    await bench.settled()
    assert [message.topic for message in bench.telegram.messages] == [None]
    assert "Topic 42 of chat -100 is gone" in bench.around.faults["topic -100 42"]
    assert [row.topic for row in await bench.rows()] == [None]


async def test_refused_markup_is_sent_once_more_as_plain_text(bench: Bench) -> None:
    await bench.tell(reply_row(1, Target(7), Written("<b>x &amp; y"), bench.around.now()))
    await bench.settled()
    assert [message.text for message in bench.telegram.messages] == ["x & y"]


async def test_a_message_that_is_never_taken_is_dead_and_holds_up_nothing(bench: Bench) -> None:
    refusal = Fault.refuse(400, "Bad Request: BUTTON_DATA_INVALID")
    bench.telegram.fail_next(refusal)
    await bench.tell(bench.alert(event("A")), bench.alert(event(), chat_id=8))
    await bench.tell(notice_row("n", Target(7), Written("next"), bench.around.now()))
    await bench.settled()
    assert [message.text for message in bench.telegram.to(7)] == ["next"]
    assert "BUTTON_DATA_INVALID" in bench.around.faults["refused"]


async def test_a_row_that_cannot_be_written_is_dead_and_holds_up_nothing(bench: Bench) -> None:
    broken = msgspec.structs.replace(bench.alert(event("A")), kind="notice", payload=b"junk")
    await bench.tell(msgspec.convert(msgspec.to_builtins(broken), OutboxRow))
    await bench.tell(notice_row("n", Target(7), Written("next"), bench.around.now()))
    await bench.settled()
    assert [message.text for message in bench.telegram.messages] == ["next"]


async def test_too_late_is_not_sent_but_counted_in_one_line(bench: Bench) -> None:
    old = [bench.alert(event(f"S{n}USDT")) for n in range(3)]
    bench.around.skipped += HOUR + 1_000
    await bench.tell(*old)
    await bench.settled()
    (message,) = bench.telegram.messages
    assert message.text.startswith("⏱ Not sent, because it would have come too late: 3 alerts")
    statuses = [row.status for row in await bench.rows()]
    assert statuses == [OutboxStatus.DEAD] * 3 + [OutboxStatus.SENT]
    assert bench.notifier.buried == 3


async def test_a_late_message_says_how_late(bench: Bench) -> None:
    made = bench.alert(event())
    bench.around.skipped += 12 * 60_000
    await bench.tell(made)
    await bench.settled()
    assert "⏱ 12m late" in bench.telegram.messages[0].text


async def test_a_countdown_dies_at_t(bench: Bench) -> None:
    made = bench.alert(event(countdown=True, at=T - 60_000))
    bench.around.skipped += 60_000
    await bench.tell(made)
    await bench.settled()
    (message,) = bench.telegram.messages
    assert "too late" in message.text


async def test_a_long_message_is_sent_in_parts_each_at_its_time(bench: Bench) -> None:
    await bench.tell(bench.alert(event(note="word " * 2_000)))
    await bench.settled()
    messages = bench.telegram.messages
    assert len(messages) == 3
    assert [bool(message.data) for message in messages] == [False, False, True]
    rows = await bench.rows()
    assert [row.message_id for row in rows] == [one.message_id for one in messages]
    assert [row.kind for row in rows] == [OutboxKind.ALERT, OutboxKind.REST, OutboxKind.REST]
    gaps = [b.at - a.at for a, b in pairwise(messages)]
    assert min(gaps) >= QUICK.per_chat


async def test_an_unreachable_server_is_a_fault_until_it_answers(bench: Bench) -> None:
    await bench.telegram.go_down()
    for chat_id in (7, 8, 9):
        await bench.tell(bench.alert(event(), chat_id))
    await bench.until(lambda: "telegram" in bench.around.faults)
    await bench.telegram.come_back()
    bench.around.skipped += 3_000
    await bench.settled()
    assert "telegram" not in bench.around.faults


async def test_a_refused_token_is_a_fault_and_loses_nothing(bench: Bench) -> None:
    bench.telegram.fail_next(Fault.refuse(401, "Unauthorized"))
    await bench.tell(bench.alert(event()))
    await bench.until(lambda: "token" in bench.around.faults)
    bench.around.skipped += 3_000
    await bench.settled()
    assert len(bench.telegram.messages) == 1
    assert "token" not in bench.around.faults


class SlowToSettle(MemoryStore):
    """A store that cannot be written for a while."""

    refusals = 1

    async def settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> int:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("the disk is full")
        return await super().settle(rows, chats, added)


async def test_what_was_sent_is_recorded_as_soon_as_the_store_can(
    telegram: TelegramDouble,
) -> None:
    bench = Bench(telegram, SlowToSettle(), Settings(limits=QUICK))
    await bench.tell(bench.alert(event()))
    await bench.until(lambda: "database" in bench.around.faults)
    await bench.settled()
    assert len(telegram.messages) == 1
    assert bench.around.faults == {}
    await bench.notifier.stop(1)
    await bench.api.close()


async def test_nothing_is_sent_that_cannot_be_leased(telegram: TelegramDouble) -> None:
    class Closed(MemoryStore):
        async def lease(self, *_: object, **__: object) -> list[OutboxRow]:
            raise StoreError("the database is read-only")

    bench = Bench(telegram, Closed(), Settings(limits=QUICK))
    await bench.tell(bench.alert(event()))
    await bench.notifier.drain()
    assert bench.around.faults["database"] == "the database is read-only"
    await bench.notifier.stop(0.2)
    assert telegram.requests == []
    await bench.api.close()


async def test_stopping_sends_what_is_due(telegram: TelegramDouble) -> None:
    bench = Bench(telegram, MemoryStore(), Settings(limits=QUICK))
    await bench.notifier.start()
    for chat_id in (7, 8, 9):
        await bench.store.commit(Commit(outbox=(bench.alert(event(), chat_id),)))
    await bench.notifier.stop(3)
    assert len(telegram.messages) == 3
    assert await bench.store.pending() == 0
    await bench.api.close()


async def test_stopping_is_bounded_and_leaves_the_rest_to_the_next_start(
    telegram: TelegramDouble,
) -> None:
    bench = Bench(telegram, MemoryStore(), Settings(limits=QUICK))
    bench.api = BotApi(telegram.token, telegram.url, read_timeout=30)
    bench.notifier.delivery._channel = bench.api
    telegram.fail_next(Fault.slow(20))
    await bench.tell(bench.alert(event()))
    await bench.notifier.drain()
    await telegram.wait_for(lambda: telegram.requests, 30)
    began = time.monotonic()
    await bench.notifier.stop(0.2)
    assert time.monotonic() - began < 10  # of the 20 s that the request takes
    (row,) = await bench.rows()
    assert row.status is OutboxStatus.LEASED  # it may have arrived: the next start marks it
    await bench.api.close()


class Counting:
    """A channel that counts how many are sent to at once, all and per chat."""

    def __init__(self) -> None:
        self.under_way: list[int] = []
        self.most = 0
        self.order: dict[int, list[str]] = {}

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        assert chat_id not in self.under_way, "two messages to a chat at once"
        self.under_way.append(chat_id)
        self.most = max(self.most, len(self.under_way))
        await asyncio.sleep(0.005)
        self.under_way.remove(chat_id)
        self.order.setdefault(chat_id, []).append(written.text)
        return Sent(1)


async def test_chats_are_told_at_once_but_each_in_order() -> None:
    channel, store = Counting(), MemoryStore()
    around = Surroundings(store)
    settings = Settings(concurrency=5, limits=Limits(per_chat=0.0, overall=10_000.0))
    notifier = Notifier(store, channel, around, around, around.now, settings)
    await notifier.start()
    rows = [
        notice_row(f"{number}", Target(chat_id), Written(f"{number}"), around.now())
        for number in range(10)
        for chat_id in range(1, 21)
    ]
    await store.commit(Commit(outbox=tuple(rows)))
    notifier.wake()
    async with asyncio.timeout(30):
        while await store.pending():  # noqa: ASYNC110 - a store rings no bell
            await asyncio.sleep(0.01)
    assert channel.most == 5
    assert all(order == [str(n) for n in range(10)] for order in channel.order.values())
    assert len(channel.order) == 20
    await notifier.stop(1)


async def test_no_429_is_earned_from_a_strict_server() -> None:
    limits = double.Limits(per_chat=0.2, group_window=(3, 1.0), overall=20)
    async with TelegramDouble(limits=limits) as telegram:
        ours = Limits(per_chat=0.2, group_count=3, group_span=1.0, overall=20)
        bench = Bench(telegram, MemoryStore(), Settings(limits=ours))
        await bench.notifier.start()
        chats = [*range(1, 9), -1, -2, -3]
        for chat_id in chats:
            telegram.add_chat(chat_id)
        for number in range(4):
            rows = [
                notice_row(f"{number}", Target(chat_id), Written(f"{number}"), START)
                for chat_id in chats
            ]
            await bench.tell(*rows)
        await bench.settled()
        assert telegram.limited == 0
        assert len(telegram.messages) == 44
        await bench.notifier.stop(1)
        await bench.api.close()
