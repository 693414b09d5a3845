"""What can be asked of the outbox: of both stores."""

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    OutboxKind,
    OutboxStatus,
)
from tests.store.build import NOW, keys, put, row, sent, take, uncertain


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
