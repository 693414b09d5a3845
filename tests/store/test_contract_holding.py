"""What is held, for a pause or for a summary, and how it is freed: in both stores."""

from collections.abc import Callable

import msgspec
import pytest

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    Held,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    Pause,
    StateKey,
    Watch,
)
from tests.store.build import KEY, NOW, again, keys, put, reply, row, sent, take, uncertain

HOT = Pause(7, "file:hot", "hot", NOW, "notice|hot")
RESUMED = Commit(resumed=((7, "file:hot"),))


async def stored(store: Store, given: OutboxRow) -> OutboxRow:
    found = await store.row_of(given.key)
    assert found is not None
    return found


# --- pausing


async def test_pauses_are_loaded_in_order_and_replaced(store: Store) -> None:
    other = Pause(-5, "file:z", "z", 1, "n")
    await store.commit(Commit(pauses=(HOT, other, Pause(-5, "file:a", "a", 1, "n"))))
    later = msgspec.structs.replace(HOT, since=NOW + 1)
    await store.commit(Commit(pauses=(later,)))
    assert (await store.load()).pauses == (Pause(-5, "file:a", "a", 1, "n"), other, later)
    await store.commit(RESUMED)
    assert later not in (await store.load()).pauses


@pytest.mark.parametrize("before", [True, False], ids=["before", "in the same commit"])
async def test_a_pause_holds_the_rules_alerts_in_its_chat_and_nothing_else(
    store: Store, before: bool
) -> None:
    mine = row(key="mine"), row(key="second", symbol="ETHUSDT", fingerprint="f2")
    others = (
        row(key="other rule", rule_id="file:cold"),
        row(key="notice", kind=OutboxKind.NOTICE),
        row(key="edit", kind=OutboxKind.EDIT),
        row(key="rest", kind=OutboxKind.REST),
        reply(key="reply"),
        row(8, key="other chat"),
    )
    if before:
        await put(store, *mine, *others)
    await store.commit(Commit(pauses=(HOT,), outbox=() if before else (*mine, *others)))
    await put(store, row(key="later"))

    assert await store.held_counts() == {(7, "file:hot"): 3}
    assert await store.pending(7) == len(others) - 1
    assert (await store.outbox_counts())[OutboxStatus.NEW] == 3 + len(others)
    told = set()
    while rows := await take(store):
        told |= set(keys(rows))
        await store.settle([sent(r) for r in rows])
    assert told == set(keys(others))
    assert await store.next_due(NOW) is None


async def test_what_is_resumed_waits_again_in_its_old_place(store: Store) -> None:
    rows = [row(key="A0"), row(key="B1", rule_id="file:cold"), row(key="A2"), reply(key="r3")]
    await store.commit(Commit(pauses=(HOT,), outbox=tuple(rows)))
    await store.commit(RESUMED)
    assert await store.held_counts() == {}
    replies = await take(store)
    assert keys(replies) == ["r3"]
    await store.settle([sent(r) for r in replies])
    assert keys(await take(store)) == ["A0", "B1", "A2"]


async def test_a_resumed_chat_has_its_turn_at_once(store: Store) -> None:
    rows = [row(), row()]
    await put(store, *rows)
    await store.commit(Commit(pauses=(HOT,)))
    assert await store.next_due(NOW) is None
    await store.commit(RESUMED)
    assert await store.next_due(NOW) == NOW
    assert keys(await take(store)) == keys(rows)


@pytest.mark.parametrize("outcome", [again, uncertain])
async def test_an_alert_that_is_under_way_is_held_once_it_is_to_be_tried_again(
    store: Store, outcome: Callable[[OutboxRow, int], OutboxRow]
) -> None:
    await put(store, row(key="A"), row(key="behind", rule_id="file:cold"))
    leased = await take(store)
    await store.commit(Commit(pauses=(HOT,)))
    assert await store.held_counts() == {}
    await store.settle([outcome(r, 0) for r in leased])
    assert await store.held_counts() == {(7, "file:hot"): 1}
    assert keys(await take(store)) == ["behind"]
    tried = outcome(leased[0], 0)
    held = await stored(store, leased[0])
    assert held == msgspec.structs.replace(tried, held=Held.PAUSE, lease_until=0)


async def test_an_alert_that_arrived_meanwhile_is_not_held(store: Store) -> None:
    await put(store, row())
    leased = await take(store)
    await store.commit(Commit(pauses=(HOT,)))
    await store.settle([sent(r) for r in leased])
    assert await store.held_counts() == {}
    assert (await stored(store, leased[0])).status is OutboxStatus.SENT


async def test_an_alert_whose_lease_lapsed_is_held_as_doubtful(store: Store) -> None:
    await put(store, row(key="A"), row(key="behind", rule_id="file:cold"))
    leased = await take(store)
    await store.commit(Commit(pauses=(HOT,)))
    assert await take(store, NOW + 59_999) == []
    assert keys(await take(store, NOW + 60_000)) == ["behind"]
    held = await stored(store, leased[0])
    assert (held.status, held.doubtful, held.held) == (OutboxStatus.UNCERTAIN, True, Held.PAUSE)
    assert await store.settle([sent(leased[0])]) == 0
    await store.commit(RESUMED)
    assert await store.pending(7) == 2


async def test_a_lease_waits_for_what_is_under_way_also_where_it_would_be_held(
    store: Store,
) -> None:
    await put(store, row(key="A"))
    await take(store)
    await store.commit(Commit(pauses=(HOT,), outbox=(reply(),)))
    assert await take(store) == []


@pytest.mark.parametrize("kind", OutboxKind)
async def test_a_row_that_is_given_as_held_for_a_pause_is_not_without_one(
    store: Store, kind: OutboxKind
) -> None:
    await put(store, row(kind=kind, held=Held.PAUSE))
    assert len(await take(store)) == 1


async def test_resuming_what_is_not_paused_does_nothing(store: Store) -> None:
    await store.commit(Commit(pauses=(HOT,), outbox=(row(),)))
    await store.commit(Commit(resumed=((8, "file:hot"), (7, "file:cold"))))
    assert await store.held_counts() == {(7, "file:hot"): 1}


async def test_a_paused_rule_of_a_disabled_chat_stays_paused(store: Store) -> None:
    disabled = ChatRow(7, disabled="blocked")
    await store.commit(Commit(chats=(disabled,), pauses=(HOT,), outbox=(row(), reply(key="r"))))
    assert await take(store) == []
    await store.commit(Commit(chats=(ChatRow(7),)))
    assert keys(await take(store)) == ["r"]
    assert await store.held_counts() == {(7, "file:hot"): 1}


# --- ends


@pytest.mark.parametrize("held", [Held.PAUSE, Held.FLAP])
async def test_what_ends_is_dropped_also_where_it_is_held(store: Store, held: Held) -> None:
    pauses = (HOT,) if held is Held.PAUSE else ()
    mine = row(held=held)
    await store.commit(Commit(pauses=pauses, outbox=(mine, row(symbol="ETHUSDT", held=held))))
    assert (await store.commit(Commit(ended=(KEY,)))).outbox_dropped == 1
    dropped = await stored(store, mine)
    assert (dropped.status, dropped.held) == (OutboxStatus.DEAD, Held.NO)
    assert "ended" in dropped.error
    assert (await store.load()).pauses == pauses  # the rule goes on with its other symbols


async def test_a_pause_ends_with_its_rule_and_frees_what_another_version_holds(
    store: Store,
) -> None:
    other = Pause(7, "file:cold", "cold", NOW, "n")
    rows = row(key="old"), row(key="new", fingerprint="f2"), row(key="c", rule_id="file:cold")
    elsewhere = msgspec.structs.replace(HOT, chat_id=8)
    await store.commit(Commit(pauses=(HOT, elsewhere, other), outbox=rows))
    ended = StateKey("file:hot", "f1", "")
    assert (await store.commit(Commit(ended=(ended,)))).outbox_dropped == 1
    assert (await store.load()).pauses == (other,)
    assert keys(await take(store)) == ["new"]


async def test_a_pause_ends_with_its_watch(store: Store) -> None:
    kept = Pause(7, "watch:7:2", "two", NOW, "n")
    watches = Watch(7, None, 1, "one", 1, 99), Watch(7, None, 2, "two", 1, 99)
    gone = msgspec.structs.replace(kept, rule_id="watch:7:1")
    await store.commit(Commit(watches=watches, pauses=(gone, kept)))
    await store.commit(Commit(unwatched=((7, 1),)))
    assert (await store.load()).pauses == (kept,)


async def test_what_is_held_for_long_is_removed(store: Store) -> None:
    old, flap, young = row(), row(held=Held.FLAP), row(created_at=5_000)
    waits = row(rule_id="file:cold")
    await store.commit(Commit(pauses=(HOT,), outbox=(old, flap, young, waits)))
    assert await store.prune(5_000) == 2
    assert await store.held_counts() == {(7, "file:hot"): 1}
    assert keys(await take(store)) == [waits.key]


# --- a chat that moves


async def test_a_moved_chat_takes_its_pauses_and_what_they_hold_along(store: Store) -> None:
    watch = Watch(-5, None, 2, "two", 1, 99)
    pauses = Pause(-5, "file:hot", "hot", 1, "n"), Pause(-5, "watch:-5:2", "two", 2, "m")
    rows = row(-5), row(-5, rule_id="watch:-5:2"), row(-5, rule_id="file:x", held=Held.FLAP)
    await store.commit(Commit(watches=(watch,), pauses=pauses, outbox=rows))

    renamed = await store.move_chat(-5, -1005)

    assert renamed == {"watch:-5:2": "watch:-1005:2"}
    assert (await store.load()).pauses == (
        Pause(-1005, "file:hot", "hot", 1, "n"),
        Pause(-1005, "watch:-1005:2", "two", 2, "m"),
    )
    assert await store.held_counts() == {(-1005, "file:hot"): 1, (-1005, "watch:-1005:2"): 1}
    assert [(r.chat_id, r.held) for r in await store.flapping_rows(NOW)] == [(-1005, Held.FLAP)]
    assert await take(store) == []
    await store.commit(Commit(resumed=((-1005, "watch:-1005:2"),)))
    assert keys(await take(store)) == [rows[1].key]


async def test_where_both_chats_have_a_pause_the_new_ones_stays_and_holds_for_both(
    store: Store,
) -> None:
    there = Pause(-1005, "file:hot", "hot", 5, "there")
    mine = Pause(-5, "file:hot", "hot", 1, "mine")
    await store.commit(Commit(pauses=(there, mine), outbox=(row(-5), row(-1005))))
    await store.move_chat(-5, -1005)
    assert (await store.load()).pauses == (there,)
    assert await store.held_counts() == {(-1005, "file:hot"): 2}


async def test_a_pause_of_the_new_chat_holds_what_the_old_one_had_waiting(store: Store) -> None:
    there = Pause(-1005, "file:hot", "hot", 5, "there")
    await store.commit(Commit(pauses=(there,), outbox=(row(-5),)))
    await store.move_chat(-5, -1005)
    assert await store.held_counts() == {(-1005, "file:hot"): 1}
    assert await store.next_due(NOW) is None


async def test_what_a_gone_watch_left_does_not_pause_the_one_that_gets_its_number(
    store: Store,
) -> None:
    left = Pause(-1005, "watch:-1005:1", "gone", 5, "there")
    watch = Watch(-5, None, 1, "one", 1, 99)
    waits = row(-5, rule_id="watch:-5:1")
    await store.commit(Commit(watches=(watch,), pauses=(left,), outbox=(waits,)))
    await store.move_chat(-5, -1005)
    assert (await store.load()).pauses == ()
    assert keys(await take(store)) == [waits.key]


# --- what a summary tells of


async def test_what_is_held_for_a_summary_stays_so(store: Store) -> None:
    flap = row(held=Held.FLAP)
    await store.commit(Commit(pauses=(HOT,), outbox=(flap, row())))
    await store.commit(RESUMED)
    assert (await stored(store, flap)).held is Held.FLAP
    assert flap.key not in keys(await take(store))
    assert await store.held_counts() == {}


async def test_flapping_rows_are_those_whose_oldest_is_old_enough(store: Store) -> None:
    flaps = [
        row(key="old", created_at=10),
        row(key="with it", created_at=90),
        row(key="young", created_at=50, symbol="ETHUSDT"),
        row(key="topic", created_at=50, topic=4),
        row(key="topic, old", created_at=20, topic=5),
        row(8, key="chat", created_at=50),
        row(key="rule", created_at=50, rule_id="file:cold"),
        row(8, key="chat, old", created_at=49, rule_id="file:cold"),
    ]
    await put(store, *(msgspec.structs.replace(r, held=Held.FLAP) for r in flaps))
    await put(store, row(created_at=5))
    due = await store.flapping_rows(50)
    assert keys(due) == ["old", "with it", "topic, old", "chat, old"]
    assert keys(await store.flapping_rows(51)) == keys(flaps)
    assert await store.flapping_rows(10) == []


async def test_what_is_summed_up_is_dead_with_its_summary(store: Store) -> None:
    flaps = [row(held=Held.FLAP) for _ in range(3)]
    await put(store, *flaps, row(key="waits"))
    due = await store.flapping_rows(NOW)
    waits = await stored(store, row(key="waits"))
    summary = row(kind=OutboxKind.NOTICE)
    ids = (*(r.id for r in due[:2]), waits.id, 404)
    await store.commit(Commit(summed=ids, outbox=(summary,)))
    for one in flaps[:2]:
        dead = await stored(store, one)
        assert (dead.status, dead.held) == (OutboxStatus.DEAD, Held.NO)
        assert "summary" in dead.error
    assert keys(await store.flapping_rows(NOW)) == [flaps[2].key]
    assert keys(await take(store)) == ["waits"]
    assert await store.pending() == 2


async def test_what_is_summed_up_twice_stays_as_it_was(store: Store) -> None:
    flap = row(held=Held.FLAP)
    await put(store, flap)
    [due] = await store.flapping_rows(NOW)
    await store.commit(Commit(ended=(KEY,)))
    before = await stored(store, flap)
    await store.commit(Commit(summed=(due.id,)))
    assert await stored(store, flap) == before
