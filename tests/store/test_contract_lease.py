"""What a lease claims, and in which order: by both stores."""

import msgspec
import pytest

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    OutboxKind,
    OutboxStatus,
)
from tests.store.build import NOW, UNTIL, again, keys, put, reply, row, sent, take, uncertain


async def test_a_lease_marks_and_counts(store: Store) -> None:
    given = row(topic=42, payload=bytes(range(256)), expires_at=99_999)
    await put(store, given)
    [leased] = await store.lease(NOW, UNTIL, 10)
    assert leased == msgspec.structs.replace(
        given, status=OutboxStatus.LEASED, attempts=1, lease=1, lease_until=UNTIL, id=leased.id
    )
    assert leased.id > 0


async def test_what_is_leased_is_not_leased_again(store: Store) -> None:
    await put(store, row())
    await take(store)
    assert await take(store, NOW + 59_999) == []


async def test_a_lapsed_lease_is_claimed_as_doubtful(store: Store) -> None:
    await put(store, row())
    await take(store)
    [repeat] = await take(store, NOW + 60_000)
    assert (repeat.doubtful, repeat.attempts) == (True, 2)


async def test_what_was_certainly_not_sent_is_claimed_without_doubt(store: Store) -> None:
    await put(store, row())
    await store.settle([again(r, NOW + 5) for r in await take(store)])
    assert await take(store, NOW + 4) == []
    [leased] = await take(store, NOW + 5)
    assert (leased.doubtful, leased.attempts) == (False, 2)


async def test_what_is_uncertain_is_claimed_as_doubtful(store: Store) -> None:
    await put(store, row())
    await store.settle([uncertain(r, NOW + 5) for r in await take(store)])
    assert await take(store, NOW + 4) == []
    [leased] = await take(store, NOW + 5)
    assert (leased.doubtful, leased.attempts) == (True, 2)


async def test_doubt_outlives_a_later_certain_refusal(store: Store) -> None:
    await put(store, row())
    await store.settle([uncertain(r) for r in await take(store)])
    await store.settle([again(r, 0) for r in await take(store)])
    assert [r.doubtful for r in await take(store)] == [True]


async def test_alerts_of_a_chats_topic_are_claimed_together_in_order(store: Store) -> None:
    rows = [row(topic=topic) for topic in (2, None, 1, 2, 1, None)]
    await put(store, *rows)
    for first, second in ((0, 3), (1, 5), (2, 4)):
        leased = await take(store)
        assert keys(leased) == keys([rows[first], rows[second]])
        assert await take(store) == []  # one request to a chat at a time, whatever its topics
        await store.settle([sent(r) for r in leased])


async def test_topics_that_alternate_stay_one_message_each_after_a_doubtful_outcome(
    store: Store,
) -> None:
    rows = [row(topic=1 + n % 2) for n in range(200)]
    await put(store, *rows)
    await store.settle([uncertain(r, NOW + 5_000) for r in await take(store)])
    later = [row(topic=1 + n % 2) for n in range(4)]
    await put(store, *later)
    messages: list[tuple[int | None, bool, list[str]]] = []
    while leased := await take(store, NOW + 5_000 * len(messages)):
        messages.append((leased[0].topic, leased[0].doubtful, keys(leased)))
        await store.settle([sent(r) for r in leased])
    assert messages == [
        (2, False, keys(rows[1::2] + later[1::2])),
        (1, True, keys(rows[::2])),
        (1, False, keys(later[::2])),
    ]


async def test_the_limit_does_not_cut_what_goes_together(store: Store) -> None:
    rows = [row(n) for n in (7, 7, 7, 8, 9)]
    await put(store, *rows)
    assert keys(await take(store, limit=2)) == keys(rows[:3])
    assert keys(await take(store, limit=2)) == keys(rows[3:])


async def test_of_a_chat_with_very_many_rows_the_first_five_thousand_are_claimed(
    store: Store,
) -> None:
    rows = [row() for _ in range(5_001)]
    await put(store, *rows)
    first = await take(store, limit=1)
    assert keys(first) == keys(rows[:5_000])
    assert await take(store) == []
    assert await store.settle([sent(r) for r in first]) == 5_000
    assert keys(await take(store)) == keys(rows[5_000:])


async def test_a_reply_goes_first_and_alone(store: Store) -> None:
    alert, one, two = row(), reply(), reply()
    await put(store, alert, one, two)
    for expected in (one, two, alert):
        [leased] = await take(store)
        assert leased.key == expected.key
        await store.settle([sent(leased)])


async def test_a_reply_waits_while_an_alert_is_under_way(store: Store) -> None:
    alert, answer = row(), reply()
    await put(store, alert)
    leased = await take(store)
    await put(store, answer)
    assert await take(store) == []
    await store.settle([sent(r) for r in leased])
    assert keys(await take(store)) == [answer.key]


async def test_a_reply_does_not_wait_for_alerts_that_wait(store: Store) -> None:
    alert, answer = row(not_before=NOW + 1), reply()
    await put(store, alert, answer)
    assert keys(await take(store)) == [answer.key]


async def test_alerts_do_not_wait_for_a_reply_that_waits_but_later_replies_do(
    store: Store,
) -> None:
    alert, first, second = row(), reply(not_before=NOW + 1), reply()
    await put(store, first, second, alert)
    leased = await take(store)
    assert keys(leased) == [alert.key]
    await store.settle([sent(r) for r in leased])
    assert await store.next_due(NOW) == NOW + 1
    assert keys(await take(store, NOW + 1)) == [first.key]


@pytest.mark.parametrize("kind", [k for k in OutboxKind if k is not OutboxKind.REPLY])
async def test_a_row_that_waits_holds_its_topic_and_no_other(
    store: Store, kind: OutboxKind
) -> None:
    waits = row(topic=1, kind=kind, not_before=NOW + 300_000)
    behind, beside = row(topic=1), [row(topic=2), row(topic=None)]
    await put(store, waits, behind, *beside)
    assert await store.next_due(NOW) == NOW
    for expected in beside:
        leased = await take(store)
        assert keys(leased) == [expected.key]
        await store.settle([sent(r) for r in leased])
    assert await take(store) == []
    assert await store.next_due(NOW) == NOW + 300_000
    assert keys(await take(store, NOW + 300_000))[0] == waits.key


async def test_what_goes_to_the_general_topic_for_want_of_its_own_takes_its_place_there(
    store: Store,
) -> None:
    moved, other = row(topic=1), row(topic=None)
    await put(store, moved, other)
    [leased] = await take(store)
    await store.settle([msgspec.structs.replace(again(leased, 0), topic=None)])
    assert keys(await take(store)) == [moved.key, other.key]


async def test_nothing_of_its_topic_overtakes_a_row_that_waits(store: Store) -> None:
    rows = [row(), row(not_before=NOW + 1), row()]
    await put(store, *rows)
    first = await take(store)
    assert keys(first) == keys(rows[:1])
    await store.settle([sent(r) for r in first])
    assert await take(store) == []
    assert keys(await take(store, NOW + 1)) == keys(rows[1:])


async def test_a_new_alert_waits_behind_an_uncertain_one(store: Store) -> None:
    old, new = row(), row()
    await put(store, old)
    await store.settle([uncertain(r) for r in await take(store)])
    await put(store, new)
    repeat = await take(store)
    assert keys(repeat) == [old.key]
    await store.settle([sent(r) for r in repeat])
    assert keys(await take(store)) == [new.key]


async def test_alerts_notices_and_edits_keep_their_order_and_are_not_mixed(store: Store) -> None:
    kinds = (OutboxKind.ALERT, OutboxKind.NOTICE, OutboxKind.NOTICE, OutboxKind.EDIT)
    rows = [row(kind=kind) for kind in (*kinds, OutboxKind.ALERT, OutboxKind.ALERT)]
    await put(store, *rows)
    groups = []
    while leased := await take(store):
        groups.append(keys(leased))
        await store.settle([sent(r) for r in leased])
    assert groups == [[r.key] for r in rows[:4]] + [keys(rows[4:])]


async def test_no_chat_delays_another(store: Store) -> None:
    await put(store, row(1), row(2, not_before=NOW + 1), row(3), row(4))
    await store.commit(Commit(chats=(ChatRow(1, not_before=NOW + 1), ChatRow(5))))
    assert [r.chat_id for r in await take(store, busy=frozenset({3}))] == [4]


async def test_the_chat_whose_row_is_the_oldest_comes_first(store: Store) -> None:
    await put(store, row(9), row(1), row(5))
    [first] = await take(store, limit=1)
    assert first.chat_id == 9
    await store.settle([again(first, NOW - 1)])
    assert [r.chat_id for r in await take(store, limit=2)] == [9, 1]


async def test_busy_chats_do_not_use_up_the_limit(store: Store) -> None:
    await put(store, *(row(n) for n in range(10)))
    busy = frozenset(range(8))
    assert [r.chat_id for r in await take(store, limit=2, busy=busy)] == [8, 9]


async def test_a_disabled_chat_is_not_sent_to_until_it_is_enabled(store: Store) -> None:
    await store.commit(Commit(chats=(ChatRow(7, disabled="blocked"),), outbox=(row(), row())))
    assert await take(store) == []
    assert await store.next_due(NOW) is None
    assert await store.pending() == 2
    await store.commit(Commit(chats=(ChatRow(7),)))
    assert len(await take(store)) == 2


async def test_a_chats_wait_holds_its_rows(store: Store) -> None:
    await put(store, row())
    await store.settle([], [ChatRow(7, not_before=NOW + 1)])
    assert await take(store) == []
    assert len(await take(store, NOW + 1)) == 1


async def test_worth_and_age_do_not_matter_to_a_lease(store: Store) -> None:
    await put(store, row(expires_at=NOW - 1), row(created_at=NOW + 3_600_000))
    assert len(await take(store)) == 2
