"""What grows too late while something else is before it: behind a repeat, a line, a request."""

import asyncio

import msgspec
import pytest

from bot.alerts.lifecycle import Kind
from bot.notify.channel import Doubtful, Outcome, Refused, Written
from bot.notify.pacing import Limits
from bot.notify.payload import edit_row, notice_row, reply_row
from bot.rules.rule import Target
from bot.store.records import OutboxKind, OutboxRow, OutboxStatus
from tests.notify.bench import Desk, Wire
from tests.notify.events import HOUR, event

HERE = Target(7, None)
LINE = "would have come too late"
MINUTE = 60_000


class Poisoned(Wire):
    """Never a certain answer to some messages: the server fails on them."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        if any(word in written.text for word in self.words):
            self.requests.append((written, "doubtful"))
            return Doubtful("500 Internal Server Error")
        return await super().send(chat_id, topic, written)


def poison(desk: Desk, kind: OutboxKind) -> OutboxRow:
    now = desk.around.now()
    if kind is OutboxKind.EDIT:
        return edit_row("x", HERE, Written("poison", edit_of=5), now)
    if kind is OutboxKind.ALERT:
        return desk.alert(event(note="poison"))
    if kind is OutboxKind.NOTICE:
        return notice_row("x", HERE, Written("poison"), now)
    return reply_row(1, HERE, Written("poison"), now)


KINDS = [OutboxKind.EDIT, OutboxKind.NOTICE, OutboxKind.REPLY, OutboxKind.ALERT]


def texts(desk: Desk) -> list[str]:
    return [written.text for _, _, written in desk.wire.arrived]


async def minutes(desk: Desk, count: float) -> None:
    for _ in range(round(count * 6)):
        await desk.turn()
        desk.skip(10_000)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_server_always_fails_on_is_given_up_when_it_is_too_old(
    kind: OutboxKind,
) -> None:
    desk = Desk(Poisoned("poison"))
    await desk.tell(poison(desk, kind))
    await minutes(desk, 40)
    await desk.tell(desk.alert(event("ETHUSDT")))
    await minutes(desk, 30)
    assert sum("ETHUSDT" in text for text in texts(desk)) == 1
    first, *_ = await desk.rows()
    assert (first.status, first.error) == (OutboxStatus.DEAD, "too late")


@pytest.mark.parametrize("kind", KINDS[:2])
async def test_what_is_too_late_behind_a_repeat_is_told_at_its_next_attempt(
    kind: OutboxKind,
) -> None:
    desk = Desk(Poisoned("poison"))
    await desk.tell(poison(desk, kind))
    await desk.turn()
    soon = desk.alert(event("SOONUSDT"))
    await desk.tell(msgspec.structs.replace(soon, expires_at=soon.created_at + MINUTE))
    await desk.tell(desk.alert(event("ETHUSDT")))
    await minutes(desk, 7)
    (line,) = texts(desk)
    assert "1 alert from" in line
    assert "SOONUSDT" in line
    assert desk.notifier.buried == 1
    statuses = {one.symbol: one.status for one in await desk.rows() if one.symbol}
    assert statuses == {"SOONUSDT": OutboxStatus.DEAD, "ETHUSDT": OutboxStatus.NEW}


async def test_a_line_that_may_have_arrived_behind_a_repeat_comes_again_with_a_mark() -> None:
    wire = Poisoned("poison", LINE)
    desk = Desk(wire)
    await desk.tell(poison(desk, OutboxKind.EDIT))
    await desk.turn()
    soon = desk.alert(event("SOONUSDT"))
    await desk.tell(msgspec.structs.replace(soon, expires_at=soon.created_at + MINUTE))
    await minutes(desk, 7)
    assert desk.notifier.buried == 1
    wire.words = ()
    await minutes(desk, 10)
    edit, line = texts(desk)
    assert edit == "poison"
    assert "1 alert from" in line
    assert "Possible repeat" in line
    assert all(one.status in {OutboxStatus.SENT, OutboxStatus.DEAD} for one in await desk.rows())


@pytest.mark.parametrize("outcome", ["later", "topic gone"])
async def test_a_line_behind_a_repeat_that_does_not_go_leaves_nothing_leased(outcome: str) -> None:
    desk = Desk(Wire("doubtful", outcome))
    await desk.tell(poison(desk, OutboxKind.EDIT))
    await desk.turn()
    soon = desk.alert(event("SOONUSDT"))
    await desk.tell(msgspec.structs.replace(soon, expires_at=soon.created_at + 1_000))
    desk.skip(6_000)
    await desk.settled()
    assert texts(desk)[-1] == "poison" if outcome == "topic gone" else "poison" in texts(desk)
    assert sum(LINE in text for text in texts(desk)) == (outcome == "later")
    assert desk.notifier.buried == 1


@pytest.mark.parametrize("doubt", [False, True])
async def test_what_was_in_time_at_the_line_is_not_too_late_behind_it(*, doubt: bool) -> None:
    desk = Desk(Wire(*["doubtful"] * doubt), max_age=15_000)
    await desk.tell(desk.alert(event("S0USDT")))
    if doubt:  # what may have arrived goes by itself
        await desk.turn()
    for number in range(1, 30):
        desk.around.skipped += 1_000
        await desk.tell(desk.alert(event(f"S{number}USDT")))
    await desk.turn()
    for number in range(3):  # and other things go between
        await desk.tell(reply_row(number, HERE, Written("answer"), desk.around.now()))
        desk.skip(1_200)
        await desk.turn()
    found = texts(desk)
    assert [LINE in text for text in found].count(True) == 1
    dead = [one for one in await desk.rows() if one.status is OutboxStatus.DEAD]
    sent = [one for one in await desk.rows() if one.kind is OutboxKind.ALERT and one not in dead]
    assert f"late: {len(dead)} alerts" in "".join(found)
    assert {one.status for one in sent} == {OutboxStatus.SENT}
    assert len(sent) + len(dead) == 30


async def test_what_comes_after_a_line_ages_as_ever() -> None:
    desk = Desk(Wire(), max_age=15_000)
    for _ in range(3):
        await desk.tell(desk.alert(event(since=desk.around.now())))
        desk.skip(16_000)
        await desk.turn()
    assert [LINE in text for text in texts(desk)] == [True] * 3


# -- between judging and asking ------------------------------------------------------------------


@pytest.mark.parametrize("first", ["topic gone", "unparsable"])
async def test_a_second_request_is_not_made_after_t(first: str) -> None:
    desk = Desk(Wire(first), limits=Limits(per_chat=0.6))
    row = desk.alert(event(), 7, 3)
    await desk.tell(msgspec.structs.replace(row, expires_at=row.created_at + 300))
    async with asyncio.timeout(20):
        while not texts(desk):
            await desk.notifier.drain()
            await asyncio.sleep(0.01)
    assert [name for _, name in desk.wire.requests] == [first, ""]
    assert LINE in texts(desk)[0]
    await desk.notifier.stop(1)


# -- while more is being stored ------------------------------------------------------------------


async def test_what_is_decided_while_a_line_is_written_is_counted_in_it() -> None:
    desk = Desk(Wire())
    await desk.tell(desk.alert(event()))
    desk.skip(2 * HOUR)
    await desk.notifier.drain()  # a turn is under way
    with desk.notifier.gathering():
        for _ in range(20):
            await asyncio.sleep(0)
        assert texts(desk) == []
        await desk.tell(desk.alert(event(kind=Kind.RESOLVED)))
    await desk.settled()
    (line,) = texts(desk)
    assert "2 alerts" in line
    assert "Still on" not in line


async def test_a_line_that_is_refused_is_no_reason_to_lose_count() -> None:
    class Refusing(Wire):
        async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
            await super().send(chat_id, topic, written)
            return Refused("Bad Request: anything")

    desk = Desk(Refusing())
    await desk.tell(desk.alert(event()))
    desk.skip(2 * HOUR)
    await desk.settled()
    assert [one.status for one in await desk.rows()] == [OutboxStatus.DEAD]
    assert "is lost" in desk.around.faults["refused"]
