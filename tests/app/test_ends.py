"""Messages of alerts whose rule ended say so, also those that were on their way just then."""

import msgspec
import pytest

from bot.app.desk import Desk
from bot.app.ends import ENDS, MOST, End, Ends
from bot.chat.answer import Answer
from bot.chat.request import Request, RequestKind
from bot.market.catalog import Catalog
from bot.notify.batch import written_of
from bot.notify.item import Reader
from bot.notify.markup import MAX_UNITS, plain_text, units
from bot.notify.payload import decode_payload, encode_event, event_of, outbox_row_for
from bot.rules.rule import Target
from bot.store.memory import MemoryStore
from bot.store.records import Commit, Committed, OutboxKind, OutboxRow, OutboxStatus
from tests.app.test_live import ADMIN, HIGH, Around, S, watch
from tests.notify.events import event


async def leased(around: Around) -> OutboxRow:
    """A firing that is being sent."""
    await around.row(0, HIGH)
    (fired,) = await around.store.lease(around.time, around.time + 60 * S, 9)
    return fired


async def unwatch(around: Around) -> None:
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="/unwatch 1")
    await around.live.apply(request, Answer(unwatched=((ADMIN, 1),)), None)


async def settle(around: Around, row: OutboxRow, status: OutboxStatus) -> None:
    message_id = 44 if status is OutboxStatus.SENT else None
    await around.store.settle([msgspec.structs.replace(row, status=status, message_id=message_id)])


async def edits(around: Around) -> list[str]:
    """The edits of message 44 that are in the outbox."""
    rows = [row for row in around.store._outbox.rows.values() if row.kind is OutboxKind.EDIT]
    written = [decode_payload(row) for row in rows]
    assert all(getattr(one, "edit_of", None) == 44 for one in written)
    return [getattr(one, "text", "") for one in written]


async def pass_time(around: Around) -> None:
    around.time += 5 * S
    await around.live.advance(around.time, everything=True)


async def test_a_message_on_its_way_is_edited_once_it_has_arrived() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    fired = await leased(around)
    await unwatch(around)
    await pass_time(around)
    assert await edits(around) == []
    await settle(around, fired, OutboxStatus.SENT)
    for _ in range(3):
        await pass_time(around)
    (text,) = await edits(around)
    assert "changed or removed" in text
    assert (await around.store.load()).facts[ENDS] == "[]"


async def test_the_edit_of_a_message_of_several_parts_says_it_in_the_part_that_it_changes() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    fired = await leased(around)
    long = msgspec.structs.replace(event_of(fired), note="word " * 2_000)
    row = msgspec.structs.replace(fired, payload=encode_event(long))
    assert len(written_of([row], Reader(), around.time)) == 3
    await settle(around, row, OutboxStatus.SENT)
    await unwatch(around)
    await pass_time(around)
    (edit,) = [one for one in around.store._outbox.rows.values() if one.kind is OutboxKind.EDIT]
    (part,) = written_of([edit], Reader(), around.time)
    assert part.text.startswith("— This rule was changed or removed")
    assert units(plain_text(part.text)) <= MAX_UNITS


async def test_over_a_restart_between_its_end_and_its_arrival_it_is_edited() -> None:
    before = await Around(watch("BTCUSDT rate > 0.1%")).start()
    fired = await leased(before)
    await unwatch(before)
    await settle(before, fired, OutboxStatus.SENT)
    after = Around()
    after.store = after.live._store = after.live.ends._store = before.store
    after.time = before.time
    after.live.ends.restore((await before.store.load()).facts)
    await pass_time(after)
    (text,) = await edits(after)
    assert "changed or removed" in text


@pytest.mark.parametrize("outcome", [OutboxStatus.NEW, OutboxStatus.UNCERTAIN, OutboxStatus.DEAD])
async def test_one_that_never_arrives_is_not_waited_for(outcome: OutboxStatus) -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    fired = await leased(around)
    await unwatch(around)
    await settle(around, fired, outcome)
    await pass_time(around)
    assert await edits(around) == []
    assert (await around.store.load()).facts[ENDS] == "[]"


async def test_a_store_that_cannot_write_loses_no_edit() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    await settle(around, await leased(around), OutboxStatus.SENT)
    await unwatch_while_broken(around)
    around.store.broken = False
    await pass_time(around)
    assert len(await edits(around)) == 1


async def unwatch_while_broken(around: Around) -> None:
    """The command is stored, and then nothing more."""
    commit = around.store.commit

    async def once(given: Commit) -> Committed:
        around.store.commit = commit  # type: ignore[method-assign]
        done = await commit(given)
        around.store.broken = True
        return done

    around.store.commit = once  # type: ignore[method-assign, assignment]
    await unwatch(around)


async def test_what_was_kept_and_cannot_be_read_is_passed_over() -> None:
    around = await Around().start()
    around.live.ends.restore({ENDS: "{}"})
    await pass_time(around)
    assert await edits(around) == []


async def test_a_message_of_a_storm_whose_rule_ended_is_edited_once() -> None:
    store, events = MemoryStore(), [event(symbol=f"S{n}USDT") for n in range(2 * MOST + 1)]
    rows = tuple(outbox_row_for(each, Target(ADMIN), 1_000) for each in events)
    await store.commit(Commit(outbox=rows))
    leased = await store.lease(2_000, 60_000, len(rows))
    sent = {"status": OutboxStatus.SENT, "message_id": 44, "sent_at": 2_000}
    await store.settle([msgspec.structs.replace(row, **sent) for row in leased])
    ends = Ends(store, Desk([ADMIN]))
    waiting = [End(each.rule_id, each.symbol, each.since) for each in events]
    ends.restore({ENDS: msgspec.json.encode(waiting).decode()})
    for _ in range(3):
        assert ends.is_new
        await ends.mark(Catalog(), 3_000)
    assert not ends.is_new
    assert [row.kind for row in await store.lease(4_000, 60_000, 99)] == [OutboxKind.EDIT]
    assert (await store.load()).facts[ENDS] == "[]"
