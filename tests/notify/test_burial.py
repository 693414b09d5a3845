"""What comes too late: one line of a chat, and everything is sent or counted in it."""

import math
import random
import re

import msgspec
import pytest

from bot.alerts.lifecycle import Kind
from bot.notify.burial import missed
from bot.notify.channel import Written
from bot.notify.item import Reader
from bot.notify.payload import notice_row, reply_row
from bot.rules.rule import Target
from bot.store.records import Commit, Held, OutboxKind, OutboxRow, OutboxStatus, Pause
from tests.notify.bench import Desk, Wire
from tests.notify.events import AT, HOUR, T, event, row

MINUTE = 60_000
LINE = re.compile(r"⏱ Not sent, because it would have come too late: (\d+) alerts? from ")


def nothing(rule_id: str, symbol: str, episode: int) -> bool:
    return False


def everything(rule_id: str, symbol: str, episode: int) -> bool:
    return True


def broken(made: OutboxRow) -> OutboxRow:
    return msgspec.structs.replace(made, payload=b"junk")


def test_the_line_has_count_start_and_symbols() -> None:
    rows = [row(event(f"S{n}USDT", at=AT + n, since=AT + n)) for n in range(12)]
    text = missed(rows, nothing, Reader()).text
    assert text == (
        "⏱ Not sent, because it would have come too late: 12 alerts from 2026-11-22 13:43 UTC on "
        "(S0USDT, S1USDT, S2USDT, S3USDT, S4USDT, S5USDT, S6USDT, S7USDT, S8USDT, S9USDT …)."
    )


def test_the_line_is_in_the_readers_language_and_zone() -> None:
    text = missed([row(event())], everything, Reader("zh", "Asia/Shanghai")).text
    assert "2026-11-22 21:43 CST" in text
    assert text.endswith("仍在持续：BTCUSDT (hot-longs)。")


@pytest.mark.parametrize(
    ("count", "ends"),
    [
        (1, "Still on: S0USDT (hot-longs)."),
        (20, ", S19USDT (hot-longs)."),
        (25, ", S19USDT (hot-longs) and 5 more."),
    ],
)
def test_what_is_still_on_is_named(count: int, ends: str) -> None:
    rows = [row(event(f"S{n}USDT")) for n in range(count)]
    reminded = [row(event("S0USDT", kind=Kind.REMINDED, number=1))]
    assert missed([*rows, *reminded], everything, Reader()).text.endswith(ends)


def test_no_more_is_read_than_the_line_shows() -> None:
    rows = [row(event("S0USDT")), *(broken(row(event(f"S{n}USDT"))) for n in range(1, 5_000))]
    text = missed(rows, lambda _, symbol, __: symbol == "S0USDT", Reader()).text
    assert "5000 alerts" in text
    assert text.endswith("Still on: S0USDT (hot-longs).")


def test_a_broken_row_counts_all_the_same() -> None:
    text = missed([broken(row(event("<x>")))], everything, Reader()).text
    assert "late: 1 alert from 1970-01-01 00:00 UTC (&lt;x&gt;). Still on: &lt;x&gt;." in text


async def statuses(desk: Desk) -> list[OutboxStatus]:
    return [one.status for one in await desk.rows() if one.kind is OutboxKind.ALERT]


async def test_a_resolved_is_counted_with_its_firing() -> None:
    desk = Desk(Wire())
    await desk.tell(desk.alert(event()), desk.alert(event("ETHUSDT")))
    desk.around.skipped += HOUR + 1
    await desk.tell(
        desk.alert(event(kind=Kind.REMINDED, number=1)),
        desk.alert(event(kind=Kind.RESOLVED)),
        desk.alert(event("SOLUSDT", kind=Kind.RESOLVED)),
    )
    desk.around.on = {("file:hot-longs", "ETHUSDT", AT)}
    await desk.settled()
    line, resolved = (written.text for _, _, written in desk.wire.arrived)
    assert "4 alerts" in line
    assert "(BTCUSDT, ETHUSDT). Still on: ETHUSDT (hot-longs)." in line
    assert "SOLUSDT" in resolved
    assert desk.notifier.buried == 4


async def test_a_later_resolved_of_what_is_on_is_sent() -> None:
    desk = Desk(Wire())
    await desk.tell(desk.alert(event()))
    desk.around.skipped += HOUR + 1
    desk.around.on = {("file:hot-longs", "BTCUSDT", AT)}
    await desk.settled()
    await desk.tell(desk.alert(event(kind=Kind.RESOLVED)))
    await desk.settled()
    line, resolved = (written.text for _, _, written in desk.wire.arrived)
    assert "Still on: BTCUSDT" in line
    assert "✅" in resolved


async def test_countdowns_and_the_old_are_counted_together_and_the_held_not_at_all() -> None:
    desk = Desk(Wire())
    await desk.tell(desk.alert(event("OLDUSDT")))
    held = msgspec.structs.replace(desk.alert(event("HELDUSDT")), held=Held.FLAP)
    await desk.tell(held)
    pause = Pause(7, "watch:7:1", "#1", 0, "n")
    await desk.store.commit(Commit(pauses=(pause,)))
    await desk.tell(desk.alert(event("PAUSEDUSDT", rule_id="watch:7:1")))
    desk.around.skipped += HOUR - 1_000
    await desk.tell(desk.alert(event("SOONUSDT", countdown=True, at=T - 5_000)))
    desk.around.skipped += 10_000
    await desk.tell(desk.alert(event("NEWUSDT")))
    await desk.settled()
    line, told = (written.text for _, _, written in desk.wire.arrived)
    assert "2 alerts" in line
    assert "(OLDUSDT, SOONUSDT)" in line
    assert "NEWUSDT" in told
    by_symbol = {one.symbol: one.status for one in await desk.rows()}
    assert by_symbol["HELDUSDT"] is by_symbol["PAUSEDUSDT"] is OutboxStatus.NEW


async def test_the_lines_sending_is_on_record() -> None:
    desk = Desk(Wire())
    await desk.tell(desk.alert(event(), topic=42))
    desk.around.skipped += HOUR + 1
    await desk.settled()
    (line,) = [one for one in await desk.rows() if one.kind is OutboxKind.NOTICE]
    assert (line.status, line.message_id, line.topic) == (OutboxStatus.SENT, 1, 42)
    (send,) = await desk.store.recent_sends(0)
    assert (send.chat_id, send.at, send.rule_id) == (7, line.sent_at, "")


async def test_an_answer_that_may_have_arrived_is_dropped_when_it_is_old() -> None:
    desk = Desk(Wire("doubtful"))
    await desk.tell(reply_row(1, Target(7), Written("ok"), desk.around.now()))
    await desk.turn()
    desk.around.skipped += HOUR + 1
    await desk.settled()
    assert desk.wire.arrived == []
    (one,) = await desk.rows()
    assert (one.status, one.error) == (OutboxStatus.DEAD, "too late")


@pytest.mark.parametrize("outage", ["later", "doubtful"])
async def test_two_hours_without_telegram_are_one_line_however_much_waits(outage: str) -> None:
    desk = Desk(Wire())
    desk.wire.mode = outage
    for minute in range(120):
        await desk.tell(desk.alert(event(f"S{minute}USDT")))
        desk.skip(MINUTE)
        if minute % 30 == 29:  # another start
            desk.around.skipped += desk.settings.lease
            desk.started()
        await desk.turn()
    desk.wire.mode = ""
    await desk.settled()
    lines = [LINE.search(written.text) for _, _, written in desk.wire.arrived]
    (line,) = [found for found in lines if found is not None]
    found = await statuses(desk)
    assert int(line[1]) == found.count(OutboxStatus.DEAD) >= 60
    assert found.count(OutboxStatus.DEAD) + found.count(OutboxStatus.SENT) == 120


async def test_thousands_are_one_line_too() -> None:
    desk = Desk(Wire())
    for some in range(4):
        symbols = [f"S{some}N{n}USDT" for n in range(2_500)]
        await desk.tell(*(desk.alert(event(symbol)) for symbol in symbols))
        await desk.tell(notice_row(f"{some}", Target(7), Written("note"), desk.around.now()))
    desk.around.skipped += HOUR + 1
    await desk.settled()
    line, *notes = (written.text for _, _, written in desk.wire.arrived)
    assert "too late: 10000 alerts" in line
    assert notes == ["note\n⏱ 1h late"] * 4


def eventful(desk: Desk, chance: random.Random, number: int) -> list[OutboxRow]:
    """What a minute brings: an alert begins, is reminded of or ends, in one chat or another."""
    chat_id = chance.choice([7, 8, -9])
    symbol = f"S{chance.randrange(12)}USDT"
    kind = chance.choice([Kind.FIRED, Kind.FIRED, Kind.REMINDED, Kind.RESOLVED])
    made = event(
        symbol, kind=kind, number=number, since=AT + number // 5, countdown=number % 7 == 0
    )
    return [desk.alert(made, chat_id)]


@pytest.mark.parametrize("seed", range(12))
async def test_all_that_was_decided_is_sent_or_counted(seed: int) -> None:
    chance = random.Random(seed)
    desk = Desk(Wire())
    for number in range(150):
        await desk.tell(*eventful(desk, chance, number))
        desk.skip(chance.choice([100, MINUTE, 3 * MINUTE]))
        if chance.random() < 0.05:
            desk.wire.mode = chance.choice(["", "later", "doubtful", "doubtful+"])
        if chance.random() < 0.03:  # another start
            desk.around.skipped += desk.settings.lease
            desk.started()
        if chance.random() < 0.5:
            await desk.turn()
    desk.wire.mode = ""
    await desk.settled()
    rows = [one for one in await desk.rows() if one.kind is OutboxKind.ALERT]
    lines = [one for one in await desk.rows() if one.kind is OutboxKind.NOTICE]
    sent = [one for one in rows if one.status is OutboxStatus.SENT]
    counted = [one for one in rows if one.status is OutboxStatus.DEAD]
    assert len(sent) + len(counted) == len(rows) > 100
    said = [LINE.search(one.payload.decode()) for one in lines]
    assert sum(int(found[1]) for found in said if found is not None) == len(counted)
    for fired in (one for one in counted if one.event == "fired"):
        line = min(
            line.sent_at or 0
            for line in lines
            if line.chat_id == fired.chat_id
            and (line.sent_at or 0) >= min(fired.expires_at or math.inf, fired.created_at + HOUR)
        )
        assert not [one for one in sent if is_left_behind(one, fired, line)]


def is_left_behind(one: OutboxRow, fired: OutboxRow, line: int) -> bool:
    """Whether it waited when the line told of its firing, and was sent after it all the same."""
    same = (one.chat_id, one.symbol, one.episode) == (fired.chat_id, fired.symbol, fired.episode)
    return same and one.created_at < line < (one.sent_at or 0)
