"""What may have arrived: sent again and marked, whatever it is and whatever else befalls it."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from bot.alerts.lifecycle import Kind
from bot.notify.channel import Written
from bot.notify.payload import notice_row, reply_row
from bot.rules.rule import Target
from bot.store.memory import MemoryStore
from bot.store.port import StoreError
from bot.store.records import ChatRow, OutboxKind, OutboxRow, OutboxStatus
from tests.notify.bench import Desk, Wire
from tests.notify.events import AT, HOUR, event

WORDS = [f"w{number}" for number in range(1_500)]  # two parts and more
LONG = " ".join(WORDS)
HERE = Target(7, None)


def is_marked(written: Written) -> bool:
    return "ossible repeat" in written.text


async def given(desk: Desk, what: str) -> None:
    """Puts it into the outbox."""
    now = desk.around.now()
    rows = {
        "one alert": [desk.alert(event())],
        "three alerts": [desk.alert(event(f"S{n}USDT")) for n in range(3)],
        "a table": [desk.alert(event(f"S{n}USDT")) for n in range(40)],
        "an answer": [reply_row(1, HERE, Written("<b>ok</b>"), now)],
        "a notice": [notice_row("n", HERE, Written("<b>note</b>"), now)],
        "a long alert": [desk.alert(event(note=LONG))],
        "a long answer": [reply_row(1, HERE, Written(f"<b>{LONG}</b>"), now)],
        "too late": [desk.alert(event(f"S{n}USDT")) for n in range(4)],
        "in a topic": [desk.alert(event(), topic=42)],
    }[what]
    await desk.tell(*rows)
    if what == "too late":
        desk.around.skipped += HOUR + 1_000


THINGS = [
    "one alert", "three alerts", "a table", "an answer", "a notice", "a long alert",
    "a long answer", "too late", "in a topic",
]  # fmt: skip
SCRIPTS = [
    (),
    ("doubtful+",),
    ("doubtful",),
    ("doubtful+", "doubtful+", "doubtful"),
    ("later", "doubtful+"),
    ("doubtful+", "later", "later"),
    ("doubtful+", "later", "doubtful+"),
    ("unparsable", "doubtful+"),
    ("unparsable", "doubtful+", "unparsable"),
    ("doubtful+", "unparsable", "later"),
    ("topic gone", "doubtful+"),
    ("", "doubtful+"),
    ("", "doubtful", "later", "doubtful+"),
]


@pytest.mark.parametrize("what", THINGS)
@pytest.mark.parametrize("script", SCRIPTS, ids=" ".join)
async def test_every_repeat_is_marked_and_nothing_else_is(what: str, script: Sequence[str]) -> None:
    wire = Wire(*(name for name in script if what == "in a topic" or name != "topic gone"))
    desk = Desk(wire)
    await given(desk, what)
    await desk.settled()
    doubt = False
    for written, name in wire.requests:
        assert is_marked(written) is doubt, (written, wire.requests)
        if name == "doubtful":
            doubt = True
        elif not name:
            doubt = False
    assert len(wire.arrived) - len(told(wire)) <= sum(n == "doubtful" for _, n in wire.requests)


def told(wire: Wire) -> list[Written]:
    """What arrived with a certain answer: every message once."""
    return [written for written, name in wire.requests if not name]


@pytest.mark.parametrize("what", ["a long alert", "a long answer"])
@pytest.mark.parametrize("script", SCRIPTS, ids=" ".join)
async def test_the_parts_are_the_whole_whatever_befell_them(
    what: str, script: Sequence[str]
) -> None:
    desk = Desk(Wire(*(name for name in script if name != "topic gone")))
    await given(desk, what)
    await desk.settled()
    texts = [written.text for written in told(desk.wire)]
    assert len(texts) > 1
    assert re.findall(r"\bw\d+", " ".join(texts)) == WORDS
    if "ossible repeat" in texts[0]:
        assert texts[0].startswith("♻️ Possible repeat #")


async def test_a_rest_goes_before_all_else_and_each_part_is_a_record() -> None:
    desk = Desk(Wire("", "later"))
    await given(desk, "a long alert")
    await desk.tell(
        desk.alert(event("ETHUSDT")), reply_row(1, HERE, Written("answer"), desk.around.now())
    )
    desk.wire.script = ["", "", "later"]  # the answer, the first part, the rest
    await desk.settled()
    texts = [written.text for _, _, written in desk.wire.arrived]
    assert texts[0] == "answer"
    assert "w0 " in texts[1]
    assert all("ETHUSDT" not in text for text in texts[:-1])
    assert "ETHUSDT" in texts[-1]
    rows = await desk.rows()
    assert {row.status for row in rows} == {OutboxStatus.SENT}
    rests = [row for row in rows if row.kind is OutboxKind.REST]
    assert [row.key.rpartition("|")[2] for row in rests] == [
        str(number) for number in range(2, len(rests) + 2)
    ]


async def test_a_doubtful_group_keeps_together() -> None:
    desk = Desk(Wire("doubtful+"))
    await given(desk, "three alerts")
    await desk.turn()
    await desk.tell(*(desk.alert(event(f"L{n}USDT")) for n in range(3)))
    await desk.settled()
    first, repeat, later = (written.text for _, _, written in desk.wire.arrived)
    for text in (first, repeat):
        assert re.findall(r"[SL]\dUSDT", text) == ["S0USDT", "S1USDT", "S2USDT"]
    assert repeat.count("Possible repeat") == 3
    assert re.findall(r"[SL]\dUSDT", later) == ["L0USDT", "L1USDT", "L2USDT"]


class FullDisk(MemoryStore):
    """Nothing can be written back any more."""

    is_full = True

    async def settle(
        self,
        rows: Sequence[OutboxRow],
        chats: Sequence[ChatRow] = (),
        added: Sequence[OutboxRow] = (),
    ) -> int:
        if self.is_full:
            raise StoreError("the disk is full")
        return await super().settle(rows, chats, added)

    async def bury(
        self, rows: Sequence[OutboxRow], reason: str, added: Sequence[OutboxRow] = ()
    ) -> int:
        if self.is_full:
            raise StoreError("the disk is full")
        return await super().bury(rows, reason, added)


@pytest.mark.parametrize("what", THINGS)
async def test_what_was_sent_and_not_recorded_is_marked_by_the_next_run(what: str) -> None:
    store = FullDisk()
    desk = Desk(Wire(), store)
    await given(desk, what)
    await desk.notifier.drain()
    async with asyncio.timeout(10):
        while "database" not in desk.around.faults:  # noqa: ASYNC110 - a fault rings no bell
            await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await desk.notifier.stop(0.05)
    assert asyncio.get_running_loop().time() - began < 2  # its own bound, and that for letting go
    assert len(desk.wire.arrived) == 1
    store.is_full = False
    desk.around.skipped += desk.settings.lease
    await desk.started().start()
    await desk.settled()
    first, repeat = desk.wire.arrived[0][2], desk.wire.arrived[1][2]
    assert not is_marked(first)
    assert is_marked(repeat)
    assert not any(is_marked(written) for _, _, written in desk.wire.arrived[2:])
    await desk.notifier.stop(0.1)


async def test_a_resolved_after_a_doubtful_firing_answers_its_repeat() -> None:
    desk = Desk(Wire("doubtful+"))
    await given(desk, "one alert")
    await desk.turn()
    await desk.tell(desk.alert(event(kind=Kind.RESOLVED, at=AT + HOUR)))
    await desk.settled()
    _, repeat, resolved = (written for _, _, written in desk.wire.arrived)
    assert is_marked(repeat)
    assert resolved.reply_to == 2  # the message that certainly arrived
    assert not is_marked(resolved)
