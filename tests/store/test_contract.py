"""What `bot/store/port.py` promises, kept by both stores."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from bot.alerts.lifecycle import Phase, State
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
from tests.store.build import again, reply, row, sent, uncertain

NOW, UNTIL = 10_000, 70_000
FIRING = State(
    phase=Phase.FIRING, since=5, known_at=6, told=True, fired_at=7, told_at=8, reminders=2,
    over=False, sides=(1, None, -1), peak=0.1 + 0.2,
)  # fmt: skip
KEY = StateKey("file:hot", "f1", "BTCUSDT")


async def put(store: Store, *rows: OutboxRow) -> None:
    await store.commit(Commit(outbox=rows))


async def take(
    store: Store, now: int = NOW, limit: int = 100, busy: frozenset[int] = frozenset()
) -> list[OutboxRow]:
    return list(await store.lease(now, now + 60_000, limit, busy))


def keys(rows: Sequence[OutboxRow]) -> list[str]:
    return [row.key for row in rows]


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


# --- lease


async def test_a_lease_marks_and_counts(store: Store) -> None:
    given = row(topic=42, payload=bytes(range(256)), expires_at=99_999)
    await put(store, given)
    [leased] = await store.lease(NOW, UNTIL, 10)
    assert leased == msgspec.structs.replace(
        given, status=OutboxStatus.LEASED, attempts=1, lease_until=UNTIL, id=leased.id
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


async def test_alerts_of_a_chat_are_claimed_together_in_order(store: Store) -> None:
    rows = [row(topic=n % 2) for n in range(5)]
    await put(store, *rows)
    assert keys(await take(store)) == keys(rows)


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


async def test_alerts_wait_for_a_reply_that_waits(store: Store) -> None:
    await put(store, row(), reply(not_before=NOW + 1))
    assert await take(store) == []


async def test_nothing_overtakes_a_row_that_waits(store: Store) -> None:
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


# --- settle


async def test_an_outcome_is_written_back(store: Store) -> None:
    await put(store, row(topic=42))
    [leased] = await take(store)
    outcome = msgspec.structs.replace(
        sent(leased, message_id=55, at=12_345), topic=None, payload=b"plain", error="e",
        doubtful=True, lease_until=0,
    )  # fmt: skip
    assert await store.settle([outcome]) == 1
    assert await store.chat_rows(7, "file:hot", "BTCUSDT", 900) == [outcome]
    assert (await store.pending(), await take(store, UNTIL)) == (0, [])


async def test_an_outcome_changes_neither_what_a_row_is_nor_whose(store: Store) -> None:
    await put(store, row())
    [leased] = await take(store)
    other = msgspec.structs.replace(sent(leased), key="x", chat_id=8, rule_id="y", symbol="z")
    assert await store.settle([other]) == 1
    [stored] = await store.chat_rows(7, "file:hot", "BTCUSDT", 900)
    assert (stored.key, stored.status) == (leased.key, OutboxStatus.SENT)


async def test_a_late_outcome_of_a_lapsed_lease_does_not_count(store: Store) -> None:
    await put(store, row())
    [first] = await take(store)
    [second] = await take(store, NOW + 60_000)
    assert await store.settle([sent(first)]) == 0
    assert await store.settle([sent(second), sent(second)]) == 1
    assert await store.settle([sent(second)]) == 0


@pytest.mark.parametrize("changes", [{"id": 999}, {"attempts": 0}, {"attempts": 2}])
async def test_an_outcome_of_what_was_not_leased_so_does_not_count(
    store: Store, changes: dict[str, int]
) -> None:
    await put(store, row())
    [leased] = await take(store)
    assert await store.settle([msgspec.structs.replace(sent(leased), **changes)]) == 0
    assert await store.pending() == 1


async def test_a_lease_can_be_prolonged(store: Store) -> None:
    await put(store, row())
    [leased] = await take(store)
    longer = msgspec.structs.replace(leased, lease_until=NOW + 90_000)
    assert await store.settle([longer]) == 1
    assert await take(store, NOW + 89_999) == []
    assert await store.settle([sent(longer)]) == 1


async def test_of_a_known_chat_an_outcome_changes_only_what_delivery_finds_out(
    store: Store,
) -> None:
    known = ChatRow(7, title="now", language="zh", next_watch=4, not_before=50)
    await store.commit(Commit(chats=(known,)))
    await store.settle([], [ChatRow(7, title="stale", disabled="blocked", not_before=20)])
    expected = msgspec.structs.replace(known, disabled="blocked", not_before=20)
    assert (await store.load()).chats == (expected,)


async def test_an_unknown_chat_of_an_outcome_is_stored(store: Store) -> None:
    chat = ChatRow(-8, kind="group", disabled="kicked")
    await store.settle([], [chat])
    assert (await store.load()).chats == (chat,)


# --- looking


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
