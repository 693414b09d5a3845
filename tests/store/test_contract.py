"""What `bot/store/port.py` promises of commits, kept by both stores."""

from collections.abc import Callable

import msgspec
import pytest

from bot.alerts.lifecycle import State
from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    Committed,
    OutboxKind,
    OutboxRow,
    OutboxStatus,
    Sample,
    Saved,
    SavedState,
    StateKey,
    Watch,
)
from tests.store.build import FIRING, KEY, NOW, again, keys, put, reply, row, sent, take, uncertain

# --- commit and load


async def test_a_new_store_is_empty(store: Store) -> None:
    assert await store.load() == Saved((), (), (), (), {})
    assert await store.pending() == 0
    assert await store.next_due(NOW) is None
    assert await take(store) == []


async def test_what_is_committed_is_loaded_as_it_was(store: Store) -> None:
    states = (SavedState(KEY, FIRING), SavedState(StateKey("file:hot", "f1", "币安USDT"), State()))
    samples = (Sample("BTCUSDT", "mark", 60_000, "28000.5"), Sample("BTCUSDT", "rate", 60_000, "1"))
    watches = (Watch(-5, 42, 1, "BTCUSDT rate > 0.05%", 1, 99), Watch(7, None, 3, "x", 1, 99))
    chats = (
        ChatRow(-5, "supergroup", "Desk 桌", "zh", "Asia/Shanghai", 1, "blocked", 2, 9),
        ChatRow(7),
    )
    facts = {"heartbeat": "1", "rules": "version: 1\n"}

    done = await store.commit(
        Commit(states=states, samples=samples, watches=watches, chats=chats, facts=facts)
    )

    assert done == Committed(applied=True)
    assert await store.load() == Saved(states, samples, watches, chats, facts)


async def test_a_later_commit_replaces_what_has_the_same_key(store: Store) -> None:
    await store.commit(
        Commit(
            states=(SavedState(KEY, FIRING),),
            watches=(Watch(7, None, 1, "old", 1, 99),),
            chats=(ChatRow(7, title="old"),),
            facts={"a": "old", "b": "kept"},
        )
    )
    await store.commit(
        Commit(
            states=(SavedState(KEY, State()),),
            watches=(Watch(7, 3, 1, "new", 2, 98),),
            chats=(ChatRow(7, title="new"),),
            facts={"a": "new"},
        )
    )

    saved = await store.load()
    assert saved.states == (SavedState(KEY, State()),)
    assert saved.watches == (Watch(7, 3, 1, "new", 2, 98),)
    assert saved.chats == (ChatRow(7, title="new"),)
    assert saved.facts == {"a": "new", "b": "kept"}


async def test_of_two_samples_of_one_moment_the_first_stays(store: Store) -> None:
    first = Sample("BTCUSDT", "mark", 60_000, "1")
    await store.commit(Commit(samples=(first,)))
    await store.commit(Commit(samples=(Sample("BTCUSDT", "mark", 60_000, "2"),)))
    assert (await store.load()).samples == (first,)


async def test_an_unwatched_watch_is_gone(store: Store) -> None:
    kept = Watch(7, None, 2, "kept", 1, 99)
    await store.commit(Commit(watches=(Watch(7, None, 1, "gone", 1, 99), kept)))
    await store.commit(Commit(unwatched=((7, 1), (7, 5), (8, 2))))
    assert (await store.load()).watches == (kept,)


async def test_a_row_whose_key_exists_is_not_stored_again(store: Store) -> None:
    first, other = row(payload=b"first"), row()
    assert (await store.commit(Commit(outbox=(first,)))).outbox_added == 1
    repeat = msgspec.structs.replace(first, payload=b"second")
    assert (await store.commit(Commit(outbox=(repeat, other, other)))).outbox_added == 1
    assert [r.payload for r in await take(store)] == [b"first", b"{}"]


async def test_a_key_is_remembered_after_its_row_was_sent(store: Store) -> None:
    first = row()
    await put(store, first)
    await store.settle([sent(r) for r in await take(store)])
    assert (await store.commit(Commit(outbox=(first,)))).outbox_added == 0


async def test_an_update_is_applied_once(store: Store) -> None:
    commit = Commit(facts={"n": "1"}, outbox=(reply(),), update_id=5)
    assert await store.commit(commit) == Committed(applied=True, outbox_added=1)

    repeat = Commit(
        states=(SavedState(KEY, FIRING),),
        ended=(KEY,),
        watches=(Watch(7, None, 1, "x", 1, 99),),
        chats=(ChatRow(7),),
        facts={"n": "2"},
        outbox=(reply(),),
        update_id=5,
    )
    assert await store.commit(repeat) == Committed(applied=False)
    assert await store.load() == Saved((), (), (), (), {"n": "1"})
    assert await store.pending() == 1


async def test_an_update_number_of_zero_counts_too(store: Store) -> None:
    assert (await store.commit(Commit(update_id=0))).applied
    assert not (await store.commit(Commit(update_id=0))).applied


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        (ChatRow(7, next_watch=4), ChatRow(7, next_watch=2), ChatRow(7, next_watch=4)),
        (ChatRow(7, next_watch=4), ChatRow(7, next_watch=5), ChatRow(7, next_watch=5)),
        (ChatRow(7, not_before=9), ChatRow(7, title="t"), ChatRow(7, title="t", not_before=9)),
        (ChatRow(7, disabled="blocked"), ChatRow(7), ChatRow(7)),
    ],
)
async def test_a_commit_undoes_no_watch_number_and_no_wait_of_a_chat(
    store: Store, stored: ChatRow, given: ChatRow, expected: ChatRow
) -> None:
    await store.commit(Commit(chats=(stored,)))
    await store.commit(Commit(chats=(given,)))
    assert (await store.load()).chats == (expected,)


# --- ended


@pytest.mark.parametrize(
    ("ended", "left"),
    [
        (KEY, {"ETHUSDT", "other rule", "other fingerprint"}),
        (StateKey("file:hot", "f1", ""), {"other rule", "other fingerprint"}),
        (StateKey("file:hot", "f9", ""), {"BTCUSDT", "ETHUSDT", "other rule", "other fingerprint"}),
    ],
)
async def test_what_ended_loses_its_states_and_unsent_alerts(
    store: Store, ended: StateKey, left: set[str]
) -> None:
    whose = {
        "BTCUSDT": KEY,
        "ETHUSDT": StateKey("file:hot", "f1", "ETHUSDT"),
        "other rule": StateKey("file:cold", "f1", "BTCUSDT"),
        "other fingerprint": StateKey("file:hot", "f2", "BTCUSDT"),
    }
    await store.commit(
        Commit(
            states=tuple(SavedState(key, FIRING) for key in whose.values()),
            outbox=tuple(
                row(n, key=name, **msgspec.structs.asdict(key))
                for n, (name, key) in enumerate(whose.items())
            ),
        )
    )

    done = await store.commit(Commit(ended=(ended,)))

    assert done == Committed(applied=True, outbox_dropped=4 - len(left))
    assert {saved.key for saved in (await store.load()).states} == {whose[name] for name in left}
    assert set(keys(await take(store))) == left


async def test_only_unsent_alerts_of_what_ended_are_dropped(store: Store) -> None:
    first, second, third = row(1), row(2), row(3)
    await put(store, first, second, third)
    for leased in await take(store, limit=2):
        if leased.chat_id == 1:
            await store.settle([sent(leased)])
    edit, notice = row(4, kind=OutboxKind.EDIT), row(5, kind=OutboxKind.NOTICE)
    await put(store, edit, notice)

    done = await store.commit(Commit(ended=(KEY,)))

    assert done.outbox_dropped == 1  # the third; the second is under way
    counts = await store.outbox_counts()
    assert (counts[OutboxStatus.DEAD], counts[OutboxStatus.LEASED]) == (1, 1)
    [dropped] = await store.chat_rows(3, "file:hot", "BTCUSDT", 900)
    assert (dropped.status, "ended" in dropped.error) == (OutboxStatus.DEAD, True)
    assert keys(await take(store)) == [edit.key, notice.key]


@pytest.mark.parametrize("outcome", [again, uncertain])
async def test_an_alert_whose_rule_ended_while_it_was_under_way_is_not_tried_again(
    store: Store, outcome: Callable[[OutboxRow, int], OutboxRow]
) -> None:
    behind = row(rule_id="file:cold")
    await put(store, row())
    [leased] = await take(store)
    await put(store, behind)
    assert (await store.commit(Commit(ended=(KEY,)))).outbox_dropped == 0
    assert await store.settle([outcome(leased, 0)]) == 1
    [stored] = await store.chat_rows(7, "file:hot", "BTCUSDT", 900)
    assert (stored.status, "ended" in stored.error) == (OutboxStatus.DEAD, True)
    assert keys(await take(store)) == [behind.key]


async def test_an_alert_whose_rule_ended_while_it_was_under_way_may_arrive(store: Store) -> None:
    await put(store, row())
    [leased] = await take(store)
    await store.commit(Commit(ended=(KEY,)))
    assert await store.settle([sent(leased)]) == 1
    [stored] = await store.chat_rows(7, "file:hot", "BTCUSDT", 900)
    assert (stored.status, stored.error) == (OutboxStatus.SENT, "")


async def test_an_uncertain_alert_of_what_ended_is_dropped(store: Store) -> None:
    await put(store, row())
    await store.settle([uncertain(r) for r in await take(store)])
    assert (await store.commit(Commit(ended=(KEY,)))).outbox_dropped == 1
    assert await take(store) == []
    assert await store.next_due(NOW) is None


async def test_what_ends_goes_before_the_new_is_stored(store: Store) -> None:
    await store.commit(Commit(states=(SavedState(KEY, FIRING),), outbox=(row(),)))
    new = row()
    done = await store.commit(
        Commit(ended=(KEY,), states=(SavedState(KEY, State()),), outbox=(new,))
    )
    assert done == Committed(applied=True, outbox_added=1, outbox_dropped=1)
    assert (await store.load()).states == (SavedState(KEY, State()),)
    assert keys(await take(store)) == [new.key]
