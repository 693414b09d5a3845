"""What is removed, and how a chat moves: in both stores."""

import msgspec

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    Sample,
    SavedState,
    StateKey,
    Watch,
)
from tests.store.build import FIRING, NOW, again, keys, put, reply, row, sent, take

# --- keeping house


async def test_old_things_that_are_done_with_are_removed(store: Store) -> None:
    old, waiting, young = row(1), row(2), row(3, created_at=5_000)
    await put(store, old, waiting, young)
    for leased in await take(store):
        await store.settle([sent(leased)] if leased.chat_id != 2 else [again(leased, 0)])
    samples = (Sample("A", "mark", 4_999, "1"), Sample("A", "mark", 5_000, "1"))
    await store.commit(Commit(samples=samples, update_id=1, at=4_999))
    await store.commit(Commit(outbox=(reply(4, created_at=5_000),), update_id=2))
    await store.commit(Commit(update_id=3))

    assert await store.prune(5_000) == 3

    assert await store.chat_rows(1, "file:hot", "BTCUSDT", 900) == []
    assert await store.pending(2) == 1
    assert len(await store.chat_rows(3, "file:hot", "BTCUSDT", 900)) == 1
    assert (await store.load()).samples == samples[1:]
    applied = [(await store.commit(Commit(update_id=n))).applied for n in (1, 2, 3)]
    assert applied == [True, False, False]
    assert (await store.commit(Commit(outbox=(old,)))).outbox_added == 1


async def test_samples_can_be_kept_for_another_time(store: Store) -> None:
    samples = (Sample("A", "mark", 100, "1"), Sample("A", "mark", 200, "1"))
    await store.commit(Commit(samples=samples))
    assert await store.prune(1_000, samples_before=200) == 1
    assert (await store.load()).samples == samples[1:]


async def test_a_number_is_not_used_again_after_its_row_was_removed(store: Store) -> None:
    await put(store, row())
    [leased] = await take(store)
    await store.settle([sent(leased)])
    await store.prune(NOW)
    await put(store, row())
    assert (await take(store))[0].id > leased.id


# --- a chat that moves


async def test_a_moved_chat_takes_everything_along(store: Store) -> None:
    watch = Watch(-5, 3, 2, "BTCUSDT rate > 0", 1, 99)
    state = SavedState(StateKey("watch:-5:2", "f", "BTCUSDT"), FIRING)
    elsewhere = SavedState(StateKey("watch:7:2", "f", "BTCUSDT"), FIRING)
    chat = ChatRow(-5, "group", "Desk", "zh", "Asia/Shanghai", 9, "", 40, 3)
    done, waits, leased = (row(-5, rule_id="watch:-5:2") for _ in range(3))
    await store.commit(Commit(watches=(watch,), chats=(chat,), states=(state, elsewhere)))
    await put(store, done)
    await store.settle([sent(r) for r in await take(store)])
    await put(store, leased)
    [under_way] = await take(store)
    await put(store, waits)

    renamed = await store.move_chat(-5, -1005)

    assert renamed == {"watch:-5:2": "watch:-1005:2"}
    saved = await store.load()
    assert saved.chats == (msgspec.structs.replace(chat, chat_id=-1005, kind="supergroup"),)
    assert saved.watches == (msgspec.structs.replace(watch, chat_id=-1005),)
    assert [each.key.rule_id for each in saved.states] == ["watch:-1005:2", "watch:7:2"]
    assert keys(await store.chat_rows(-5, "watch:-5:2", "BTCUSDT", 900)) == [done.key]
    assert await store.settle([again(under_way, 0)]) == 1
    rest = await take(store)
    assert keys(rest) == [leased.key, waits.key]
    assert {(r.chat_id, r.rule_id) for r in rest} == {(-1005, "watch:-1005:2")}
    assert (await store.pending(-5), await store.pending(-1005)) == (0, 2)


async def test_a_watch_whose_number_is_taken_gets_the_next(store: Store) -> None:
    there = Watch(-1005, None, 1, "there", 1, 99)
    mine = (Watch(-5, None, 1, "one", 1, 99), Watch(-5, None, 2, "two", 1, 99))
    chats = (ChatRow(-5, next_watch=3, title="old"), ChatRow(-1005, next_watch=2, not_before=8))
    states = tuple(
        SavedState(StateKey(rule_id, "f", "A"), FIRING)
        for rule_id in ("watch:-1005:1", "watch:-5:1", "watch:-5:2")
    )
    await store.commit(Commit(watches=(there, *mine), chats=chats, states=states))

    renamed = await store.move_chat(-5, -1005)

    assert renamed == {"watch:-5:1": "watch:-1005:3", "watch:-5:2": "watch:-1005:2"}
    saved = await store.load()
    assert [(w.number, w.line) for w in saved.watches] == [(1, "there"), (2, "two"), (3, "one")]
    assert saved.chats == (
        ChatRow(-1005, kind="supergroup", title="old", next_watch=4, not_before=8),
    )
    assert len(saved.states) == 3


async def test_moving_twice_or_to_itself_changes_nothing_more(store: Store) -> None:
    watch = Watch(-5, None, 1, "one", 1, 99)
    await store.commit(Commit(watches=(watch,), chats=(ChatRow(-5, next_watch=2),)))
    assert await store.move_chat(-5, -5) == {}
    await store.move_chat(-5, -1005)
    once = await store.load()
    assert await store.move_chat(-5, -1005) == {}
    assert await store.load() == once


async def test_a_chat_that_moved_is_enabled(store: Store) -> None:
    await store.commit(Commit(chats=(ChatRow(-5, disabled="gone"),), outbox=(row(-5),)))
    await store.move_chat(-5, -1005)
    assert await store.next_due(NOW) == NOW
    rows = await take(store)
    assert [r.chat_id for r in rows] == [-1005]
    await store.settle([sent(r) for r in rows])
    assert await store.next_due(NOW) is None


async def test_a_moved_chat_has_no_turn_under_its_old_number(store: Store) -> None:
    await put(store, row(-5))
    await store.move_chat(-5, -1005)
    await store.settle([], [ChatRow(-1005, not_before=NOW + 9)])
    assert await store.next_due(NOW) == NOW + 9
