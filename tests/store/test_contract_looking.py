"""What can be asked of the outbox: of both stores."""

import msgspec
import pytest

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    Copied,
    Firing,
    Held,
    OutboxKind,
    OutboxStatus,
    Pause,
    RecentSend,
)
from tests.store.build import NOW, again, keys, put, row, sent, take, uncertain


async def test_the_rows_of_an_episode_are_found_oldest_first(store: Store) -> None:
    fired, resolved = row(), row()
    others = (
        row(8), row(rule_id="x"), row(symbol="x"), row(episode=1), row(kind=OutboxKind.EDIT),
    )  # fmt: skip
    await put(store, fired, *others, resolved)
    found = await store.chat_rows(7, "file:hot", "BTCUSDT", 900)
    assert keys(found) == [fired.key, resolved.key]
    everywhere = await store.episode_rows("file:hot", "BTCUSDT", 900)
    assert keys(everywhere) == [fired.key, others[0].key, resolved.key]


async def test_the_alerts_of_one_message_are_found_by_any_of_them(store: Store) -> None:
    await put(store, row(), row(), row(), row(kind=OutboxKind.EDIT))
    one, two, three, *rest = await take(store)
    together = [sent(one, message_id=5), sent(two, message_id=5), sent(three, message_id=6)]
    await store.settle([*together, *(sent(each, message_id=5) for each in rest)])
    await store.settle([sent(each, message_id=5) for each in await take(store)])
    for each in (one, two):
        assert keys(await store.message_rows(7, each.id)) == [one.key, two.key]
    assert keys(await store.message_rows(7, three.id)) == [three.key]
    assert await store.message_rows(8, one.id) == []
    assert await store.message_rows(7, 404) == []


async def test_rows_are_counted_by_status_and_chat(store: Store) -> None:
    await put(store, row(1), row(2), row(3), row(3), row(4, not_before=NOW + 1))
    one, two, *_ = await take(store)
    await store.settle([sent(one), uncertain(two)])
    assert await store.outbox_counts() == {
        OutboxStatus.NEW: 1,
        OutboxStatus.LEASED: 2,
        OutboxStatus.SENT: 1,
        OutboxStatus.UNCERTAIN: 1,
        OutboxStatus.DEAD: 0,
    }
    assert [await store.pending(n) for n in (None, 1, 2, 3, 9)] == [4, 0, 1, 2, 0]


async def test_the_next_due_time_is_the_earliest_turn(store: Store) -> None:
    await put(store, row(1, not_before=NOW + 7), row(2, not_before=NOW + 9))
    assert await store.next_due(NOW) == NOW + 7
    await put(store, row(3))
    assert await store.next_due(NOW) == NOW
    [leased] = await take(store)
    assert await store.next_due(NOW) == NOW + 7
    await store.settle([sent(leased)], [ChatRow(1, not_before=NOW + 20)])
    assert await store.next_due(NOW) == NOW + 9
    await take(store, NOW + 20)
    assert await store.next_due(NOW + 20) == NOW + 60_020  # when the leases end


@pytest.mark.parametrize("held", [False, True], ids=["waiting", "held"])
async def test_a_hastened_row_is_due_now_but_its_chats_wait_stays(store: Store, held: bool) -> None:
    rows = row(1, not_before=NOW + 9), row(2, not_before=NOW + 9), row(3, not_before=NOW - 5)
    await store.commit(Commit(outbox=rows, chats=(ChatRow(2, not_before=NOW + 7),)))
    pauses = tuple(Pause(n, "file:hot", "hot", 1, "n") for n in (1, 2, 3))
    if held:
        await store.commit(Commit(pauses=pauses))
    await store.hasten(NOW)
    if held:
        await store.commit(Commit(resumed=tuple((p.chat_id, p.rule_id) for p in pauses)))
    assert keys(await take(store)) == [rows[0].key, rows[2].key]
    assert await store.next_due(NOW) == NOW + 7
    untouched = await store.row_of(rows[2].key)
    assert untouched is not None
    assert untouched.not_before == NOW - 5


async def test_what_is_done_with_is_not_hastened(store: Store) -> None:
    await put(store, row())
    [leased] = await take(store)
    await store.settle([msgspec.structs.replace(sent(leased), not_before=NOW + 9)])
    before = await store.row_of(leased.key)
    await store.hasten(NOW)
    assert await store.row_of(leased.key) == before


async def test_what_may_have_arrived_is_hastened_once_in_five_minutes(store: Store) -> None:
    await put(store, row(1), row(2))
    one, two = await take(store)
    await store.settle([uncertain(one, NOW + 40_000), again(two, NOW + 40_000)])
    await store.hasten(NOW)
    one, two = await take(store)
    for now in range(NOW + 5_000, NOW + 300_000, 5_000):
        await store.settle([uncertain(one, NOW + 900_000), again(two, NOW + 900_000)])
        await store.hasten(now)
        [two] = await take(store, now)
        one = msgspec.structs.replace(one, lease=-1)  # it is settled already
        assert two.chat_id == 2
    await store.hasten(NOW + 300_000)
    assert [r.chat_id for r in await take(store, NOW + 300_000)] == [1]


async def test_recent_sends_are_messages_oldest_first(store: Store) -> None:
    hot, cold = {"rule_id": "file:hot"}, {"rule_id": "file:cold"}
    messages = [  # the rows of each message, when it was sent, its number
        ([row(1, **hot), row(1, **hot)], 50, 1),
        ([row(1, **hot), row(1, **cold)], 40, 2),
        ([row(2, **cold)], 40, 1),
        ([row(2, kind=OutboxKind.NOTICE, **cold)], 40, 2),
        ([row(1, kind=OutboxKind.EDIT), row(1, kind=OutboxKind.EDIT)], 45, 2),  # of one message
        ([row(1, **hot)], 60, 1),
        ([row(1, **hot)], 39, 9),
    ]
    await put(store, *(r for rows, _, _ in messages for r in rows))
    outcome = {r.key: (number, at) for rows, at, number in messages for r in rows}
    while rows := await take(store):
        await store.settle([sent(r, *outcome[r.key]) for r in rows])
    await put(store, row(3))
    assert await store.recent_sends(40) == [
        RecentSend(1, 40),
        RecentSend(2, 40, "file:cold"),
        RecentSend(2, 40),
        RecentSend(1, 45),
        RecentSend(1, 45),
        RecentSend(1, 50, "file:hot"),
        RecentSend(1, 60, "file:hot"),
    ]


async def test_firings_are_counted_once_whoever_was_told(store: Store) -> None:
    fired = {"event": "fired", "episode": 100}
    await put(store, row(1, **fired), row(2, **fired), row(3, **fired, held=Held.FLAP))
    await store.settle([sent(r) for r in await take(store, limit=1)])
    await put(
        store,
        row(1, event="fired", episode=101, symbol="ETHUSDT"),
        row(1, event="fired", episode=101, rule_id="file:cold"),
        row(1, event="fired", episode=101, rule_id="file:cold", fingerprint="f2"),
        row(1, event="fired", episode=99),
        row(1, event="resolved", episode=102),
        row(1, event="reminded", episode=103),
    )
    assert await store.firings(100) == [
        Firing("file:hot", "f1", "BTCUSDT", 100),
        Firing("file:cold", "f1", "BTCUSDT", 101),
        Firing("file:cold", "f2", "BTCUSDT", 101),
        Firing("file:hot", "f1", "ETHUSDT", 101),
    ]


async def test_a_row_is_found_by_its_key(store: Store) -> None:
    given = row(
        event="fired", topic=4, payload=b"x", expires_at=5, held=Held.FLAP, copied=Copied.BEGUN
    )
    await put(store, given)
    [flapping] = await store.flapping_rows(NOW)
    assert await store.row_of(given.key) == msgspec.structs.replace(given, id=flapping.id)
    assert await store.row_of("nobody's") is None


async def test_the_uncopied_are_unsent_alerts_and_notices_in_order(store: Store) -> None:
    wanted = [row(8), row(7, not_before=NOW + 1), row(8, kind=OutboxKind.NOTICE)]
    begun = row(7, copied=Copied.BEGUN)
    await put(
        store, *wanted, row(9), row(7, kind=OutboxKind.REPLY), row(8, kind=OutboxKind.EDIT),
        row(7, kind=OutboxKind.REST), row(8, held=Held.FLAP), row(8, copied=Copied.DONE), begun,
    )  # fmt: skip
    every = keys([*wanted, begun])
    assert keys(await store.uncopied([7, 8, 8, 404], 10)) == every
    assert keys(await store.uncopied([8, 7], 2)) == every[:2]
    assert await store.uncopied([], 10) == []
    for leased in await take(store, limit=1):
        assert keys(await store.uncopied([leased.chat_id], 10))[0] == leased.key
        await store.settle([sent(leased)])
    assert keys(await store.uncopied([7, 8], 10)) == every[1:]


async def test_copying_is_marked_and_no_outcome_undoes_it(store: Store) -> None:
    await put(store, row(), row())
    one, two = await take(store)
    await store.mark_copied([one.id, two.id], Copied.BEGUN)
    await store.mark_copied([one.id, 404], Copied.DONE)
    assert keys(await store.uncopied([7], 9)) == [two.key]
    await store.settle([again(one, 0), again(two, 0)])
    assert [r.copied for r in await take(store)] == [Copied.DONE, Copied.BEGUN]
    await store.mark_copied([], Copied.DONE)
