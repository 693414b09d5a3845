"""Whose turn it is: storms, topics, a server that is down, what an earlier run sent, fairness."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.notify.channel import Later, Outcome, Sent, TopicGone, Written
from bot.notify.notifier import Notifier, Settings
from bot.notify.pacing import Limits
from bot.notify.payload import notice_row, reply_row
from bot.rules.rule import Target
from bot.store.memory import MemoryStore
from bot.store.port import StoreError
from bot.store.records import Commit, Held, OutboxStatus, Pause, RecentSend
from bot.store.sql import SqlStore
from tests.doubles import telegram as double
from tests.doubles.telegram import Fault, TelegramDouble
from tests.notify.bench import Bench, Desk, Surroundings, Wire
from tests.notify.events import event

# -- storms ---------------------------------------------------------------------------------


class Strict:
    """Pauses a rule after so many messages of it alone."""

    def __init__(self, desk: Desk, most: int) -> None:
        self.store = desk.store
        self.clock = desk.around.now
        self.most = most
        self.counts: Counter[tuple[int, str]] = Counter()
        self.paused: list[tuple[int, int | None, str]] = []
        self.fails = 0

    def is_full(self, chat_id: int, rule_id: str, now: int) -> bool:
        return self.counts[chat_id, rule_id] >= self.most

    def sent(self, chat_id: int, rule_id: str, now: int) -> None:
        self.counts[chat_id, rule_id] += 1

    async def pause(self, chat_id: int, topic: int | None, event: Event) -> None:
        if self.fails:
            self.fails -= 1
            raise StoreError("the disk is full")
        now = self.clock()
        notice = notice_row("paused", Target(chat_id, topic), Written("paused"), now)
        pause = Pause(chat_id, event.rule_id, event.rule, 0, notice.key)
        await self.store.commit(Commit(pauses=(pause,), outbox=(notice,)))
        self.paused.append((chat_id, topic, event.rule_id))
        self.counts[chat_id, event.rule_id] = 0


def stormy(*script: str, most: int = 3) -> tuple[Desk, Strict]:
    desk = Desk(Wire(*script))
    storms = Strict(desk, most)
    desk.started(storms)
    return desk, storms


async def told(desk: Desk, symbol: str, rule_id: str = "file:hot-longs", chat_id: int = 7) -> None:
    """An alert that goes by itself, unless its rule is paused."""
    made = event(symbol, rule_id=rule_id, kind=Kind.RESOLVED if symbol == "over" else Kind.FIRED)
    await desk.tell(desk.alert(made, chat_id))
    await desk.settled()


async def test_a_rule_that_causes_too_many_messages_is_paused_and_its_alerts_are_held() -> None:
    desk, storms = stormy()
    for symbol in ("A", "over", "B", "C", "D"):
        await told(desk, symbol)
    assert storms.paused == [(7, None, "file:hot-longs")]
    assert [written.text for _, _, written in desk.wire.arrived][3:] == ["paused"]
    held = [one for one in await desk.rows() if one.held is Held.PAUSE]
    assert [(one.symbol, one.status) for one in held] == [
        ("C", OutboxStatus.NEW),
        ("D", OutboxStatus.NEW),
    ]
    await told(desk, "E", "file:other")  # other rules go on, and so do other chats
    await told(desk, "E", chat_id=8)
    assert len(desk.wire.arrived) == 6


async def test_what_was_held_goes_as_one_message_when_it_is_resumed() -> None:
    desk, _ = stormy()
    for symbol in "ABCDEFGH":
        await told(desk, symbol)
    await desk.store.commit(Commit(resumed=((7, "file:hot-longs"),)))
    await desk.settled()
    assert "5 alerts" in desk.wire.arrived[-1][2].text


async def test_messages_of_several_rules_do_not_count() -> None:
    desk, storms = stormy()
    for number in range(8):
        pair = [event(f"S{number}", rule_id=rule_id) for rule_id in ("file:a", "file:b")]
        await desk.tell(*(desk.alert(made) for made in pair))
        await desk.settled()
    assert storms.paused == []
    assert len(desk.wire.arrived) == 8


async def test_what_may_have_arrived_counts_too() -> None:
    desk, storms = stormy("doubtful+", "doubtful+", most=2)
    await told(desk, "A")
    assert storms.paused == [(7, None, "file:hot-longs")]
    assert [name for _, name in desk.wire.requests] == ["doubtful", "doubtful", ""]
    (held,) = [one for one in await desk.rows() if one.held is Held.PAUSE]
    assert held.doubtful  # when it is resumed it is marked


async def test_a_pause_that_cannot_be_stored_is_tried_again() -> None:
    desk, storms = stormy(most=1)
    storms.fails = 1
    await told(desk, "A")
    await desk.tell(desk.alert(event("B")))
    await desk.turn()
    assert "the disk is full" in desk.around.said
    assert len(desk.wire.arrived) == 1
    await asyncio.sleep(1.0)  # a store that cannot is left alone for a second
    await desk.settled()
    assert [written.text for _, _, written in desk.wire.arrived][1:] == ["paused"]


# -- topics ---------------------------------------------------------------------------------


async def test_each_topic_has_its_turn_and_what_comes_meanwhile_joins_its_own() -> None:
    desk = Desk(Wire())
    await desk.tell(*(desk.alert(event(f"S{n}"), -9, n % 3 or None) for n in range(9)))
    await desk.settled()
    assert [topic for _, topic, _ in desk.wire.arrived] == [None, 1, 2]
    assert {one.attempts for one in await desk.rows()} == {1}


class Closed(Wire):
    """A forum whose general topic is closed, and some other ones."""

    def __init__(self, *others: int) -> None:
        super().__init__()
        self.closed = {None, *others}

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        if topic not in self.closed:
            return await super().send(chat_id, topic, written)
        self.requests.append((written, "topic gone"))
        return TopicGone("Bad Request: TOPIC_CLOSED")


async def test_a_closed_general_topic_loses_its_own_messages_and_silences_no_other_topic() -> None:
    desk = Desk(Closed())
    for topic in (42, None, 42):
        await desk.tell(desk.alert(event(f"T{topic}"), -9, topic))
        await desk.settled()
        desk.skip(1_000)
        await desk.tell(desk.alert(event("NEXT", since=desk.around.now()), -9, topic))
        await desk.settled()
    assert [topic for _, topic, _ in desk.wire.arrived] == [42, 42, 42]
    assert desk.around.row(-9).disabled == ""
    assert "takes no messages in its general topic" in desk.around.faults["topic -9 general"]
    lost = [one for one in await desk.rows() if one.status is OutboxStatus.DEAD]
    assert [(one.topic, one.error) for one in lost] == [(None, "Bad Request: TOPIC_CLOSED")] * 2


async def test_a_topic_is_tried_again_where_the_general_one_is_closed_too() -> None:
    wire = Closed(3)
    desk = Desk(wire)
    await desk.tell(desk.alert(event(), -9, 3))
    await desk.settled()
    assert len(wire.requests) == 2
    assert desk.around.row(-9).disabled == ""
    assert [one.status for one in await desk.rows()] == [OutboxStatus.DEAD]
    wire.closed.remove(3)  # somebody opened it again
    await desk.tell(desk.alert(event("ETHUSDT"), -9, 3))
    await desk.settled()
    assert [topic for _, topic, _ in wire.arrived] == [3]


# -- a server that is down ------------------------------------------------------------------


async def test_while_the_server_is_down_one_chat_at_a_time_tries() -> None:
    desk = Desk(Wire())
    desk.wire.mode = "later"
    for chat_id in range(1, 51):
        await desk.tell(desk.alert(event(), chat_id))
    await desk.turn()
    assert desk.around.faults == {}  # it may be a moment's trouble
    desk.skip(3_000)
    await desk.turn()
    assert desk.notifier.delivery.is_down
    asked = len(desk.wire.requests)
    desk.wire.most = 0
    desk.around.skipped += 600_000
    began = time.monotonic()
    while len(desk.wire.requests) < asked + 3:
        await desk.turn()
    assert desk.wire.most == 1
    assert time.monotonic() - began >= 2  # the first at once, and then one in a second


@pytest.mark.parametrize("who", ["a message", "somebody else"])
async def test_nobody_waits_out_old_spacings_once_the_server_is_back(who: str) -> None:
    desk = Desk(Wire())
    desk.wire.mode = "later"
    for chat_id in range(1, 21):
        await desk.tell(desk.alert(event(), chat_id))
    for _ in range(8):  # those that are told next would wait for a minute
        await desk.turn()
        desk.skip(60_000)
    await desk.tell(desk.alert(event(), 50))
    desk.wire.mode = ""
    if who == "somebody else":
        desk.notifier.server_is_back()
    began = time.monotonic()
    while len(desk.wire.arrived) < 21:
        assert time.monotonic() - began < 20
        await desk.turn()
        await asyncio.sleep(0.01)
    assert "telegram" not in desk.around.faults


async def test_an_answer_to_somebody_else_hastens_nothing_while_messages_go_through() -> None:
    desk = Desk(Wire("", "doubtful"))
    await desk.tell(desk.alert(event()))
    await desk.turn()
    await desk.tell(desk.alert(event("ETHUSDT")))
    await desk.turn()
    desk.notifier.server_is_back()
    await desk.turn()
    assert len(desk.wire.requests) == 2


async def test_a_return_that_cannot_be_noted_is_noted_later() -> None:
    class Stubborn(MemoryStore):
        fails = True

        async def hasten(self, now: int) -> None:
            if self.fails:
                raise StoreError("locked")
            await super().hasten(now)

    store = Stubborn()
    desk = Desk(Wire(*["later"] * 6), store)
    for chat_id in (1, 2, 3):
        await desk.tell(desk.alert(event(), chat_id))
    await desk.turn()
    desk.skip(3_000)
    await desk.turn()
    desk.notifier.server_is_back()
    await desk.turn()
    assert desk.around.faults["database"] == "locked"
    store.fails = False
    await desk.turn()
    assert len(desk.wire.arrived) == 3


# -- what an earlier run sent ---------------------------------------------------------------


async def test_the_limits_survive_restarts_in_the_middle_of_requests(tmp_path: Path) -> None:
    limits = double.Limits(per_chat=0.2, group_window=(3, 1.5), overall=20)
    ours = Limits(per_chat=0.2, group_count=3, group_span=1.5, overall=20)
    async with TelegramDouble(limits=limits) as telegram:
        for chat_id in (-1, 8):
            telegram.add_chat(chat_id)
        for run in range(5):
            store = SqlStore(f"sqlite:///{tmp_path}/bot.db")
            await store.open()
            bench = Bench(telegram, store, Settings(limits=ours))
            await bench.notifier.start()
            rows = [
                notice_row(f"{run} {number}", Target(chat_id), Written("x"), bench.around.now())
                for number in range(2)
                for chat_id in (-1, 8)
            ]
            await store.commit(Commit(outbox=tuple(rows)))
            if run < 4:
                await bench.until(lambda: bench.notifier.delivery.outcomes.total() >= 2)  # noqa: B023 - awaited here
                await bench.notifier.stop(0)
            else:
                await bench.settled()
                await bench.notifier.stop(1)
            await bench.api.close()
            await store.close()
        assert telegram.limited == 0
        assert len(telegram.messages) >= 20


@pytest.mark.parametrize(("uncertain", "free_at"), [(False, 0.0), (True, 1.0)])
async def test_a_start_after_a_crash_lets_a_second_pass(*, uncertain: bool, free_at: float) -> None:
    desk = Desk(Wire("doubtful"), limits=Limits())
    await desk.tell(desk.alert(event()))
    if uncertain:
        await desk.turn()
    await desk.started().start()
    now = time.monotonic()
    pacing = desk.notifier._pacing
    assert pacing.next_time(8, now) - now == pytest.approx(free_at, abs=0.2)
    for _ in range(15):
        pacing.note_begun(-9, now)
        pacing.note_sent(-9, now)
    expected = 60.0 if uncertain else 1.0
    assert pacing.chat_time(-9) - now == pytest.approx(expected, abs=0.5)
    await desk.notifier.stop(0)


async def test_what_was_sent_before_the_clock_began_is_of_now() -> None:
    class Ahead(MemoryStore):
        async def recent_sends(self, since: int) -> list[RecentSend]:
            return [RecentSend(7, since + 10**9)]

    desk = Desk(Wire(), Ahead(), limits=Limits())
    await desk.notifier.start()
    now = time.monotonic()
    assert desk.notifier._pacing.next_time(7, now) - now == pytest.approx(1.0, abs=0.2)
    await desk.notifier.stop(0)


async def test_a_start_that_cannot_read_what_was_sent_begins_all_the_same() -> None:
    class Unreadable(MemoryStore):
        async def recent_sends(self, since: int) -> list[RecentSend]:
            raise StoreError(f"cannot read from {since} on")

    desk = Desk(Wire(), Unreadable())
    await desk.notifier.start()
    assert "cannot read" in desk.around.faults["database"]
    await desk.tell(desk.alert(event()))
    await desk.settled()
    assert len(desk.wire.arrived) == 1
    await desk.notifier.stop(0)


# -- fairness -------------------------------------------------------------------------------


def told_of(telegram: TelegramDouble) -> set[int]:
    return {message.chat_id for message in telegram.messages}


async def test_slow_chats_hold_up_no_others() -> None:
    async with TelegramDouble() as telegram:
        bench = Bench(telegram, MemoryStore(), Settings(limits=Limits(overall=25.0)))
        await bench.notifier.start()
        for chat_id in range(1, 81):
            telegram.add_chat(chat_id, "private")
        for chat_id in range(1, 41):
            telegram.fail_next(Fault.slow(10), chat_id=chat_id)
        await bench.tell(*(bench.alert(event(), chat_id) for chat_id in range(1, 81)))
        began = time.monotonic()
        await bench.until(lambda: len(told_of(telegram) & set(range(41, 81))) == 40)
        # Slow are 20 and all that is begun behind them waits for a second; then half is left.
        assert time.monotonic() - began < 7
        await bench.notifier.stop(0)
        await bench.api.close()


class Slow:
    """A channel that takes its time with some chats; when which chat was told."""

    def __init__(self, slow: Sequence[int], seconds: float) -> None:
        self.slow = frozenset(slow)
        self.seconds = seconds
        self.at: dict[int, list[float]] = {}

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        self.at.setdefault(chat_id, []).append(time.monotonic())
        await asyncio.sleep(self.seconds if chat_id in self.slow else 0.002)
        return Sent(1)


async def test_a_chat_with_thousands_of_rows_delays_no_other() -> None:
    channel, store = Slow([], 0), MemoryStore()
    around = Surroundings(store)
    settings = Settings(rows=100, limits=Limits(per_chat=0.05, overall=1_000.0))
    notifier = Notifier(store, channel, around, around, around.now, settings)
    await notifier.start()
    desk = Desk(Wire(), store)
    await desk.tell(*(desk.alert(event(f"S{n}USDT"), 1) for n in range(4_000)))
    notes = [notice_row(f"{n}", Target(2), Written("x" * 20_000), 0) for n in range(20)]
    await desk.tell(*notes)
    quick = [desk.alert(event(), chat_id) for chat_id in range(10, 60)]
    began = time.monotonic()
    await desk.tell(*quick)
    notifier.wake()
    async with asyncio.timeout(20):
        while len(channel.at.keys() & set(range(10, 60))) < 50:  # noqa: ASYNC110 - no bell
            await asyncio.sleep(0.01)
    assert time.monotonic() - began < 2
    await notifier.stop(0)


async def test_a_small_lease_is_filled_with_no_more_than_it_can_begin() -> None:
    settings = Settings(lease=10_000)
    assert settings.ahead == 62
    desk = Desk(Wire(), lease=10_000, limits=Limits())
    for chat_id in range(1, 300):
        await desk.tell(desk.alert(event(), chat_id))
    await desk.notifier.drain()
    leased = [one for one in await desk.rows() if one.status is OutboxStatus.LEASED]
    assert len(leased) <= 62
    await desk.notifier.stop(0)


async def test_what_waits_for_half_of_its_lease_is_let_go() -> None:
    desk = Desk(Wire())
    await desk.tell(*(desk.alert(event(), chat_id) for chat_id in range(1, 4)))
    notifier = desk.notifier
    notifier.delivery.outage.is_on = True
    notifier._ready = [
        [one] for one in await desk.store.lease(desk.around.now(), desk.around.now() + 1, 9)
    ]
    await notifier.drain()
    assert notifier._ready == []
    assert {one.status for one in await desk.rows()} == {OutboxStatus.NEW}
    await notifier.stop(0)


async def test_replies_are_begun_first() -> None:
    desk = Desk(Wire())
    await desk.tell(*(desk.alert(event(), chat_id) for chat_id in range(1, 6)))
    await desk.tell(reply_row(1, Target(9), Written("answer"), desk.around.now()))
    await desk.turn()
    assert desk.wire.arrived[0][0] == 9


async def test_nothing_is_asked_inside_a_retry_after_of_another_run() -> None:
    class Limited(Wire):
        async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
            await super().send(chat_id, topic, written)
            return Later("Too Many Requests", 30.0)

    desk = Desk(Limited())
    await desk.tell(desk.alert(event()))
    await desk.turn()
    desk.started()
    desk.around.skipped += 29_000
    await desk.turn()
    assert len(desk.wire.requests) == 1
    desk.around.skipped += 1_100
    await desk.turn()
    assert len(desk.wire.requests) == 2
