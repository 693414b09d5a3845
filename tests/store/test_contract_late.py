"""What has become too late, and how it is buried: in both stores."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bot.store.port import Store
from bot.store.records import Commit, Held, OutboxKind, OutboxRow, OutboxStatus, Pause
from tests.store.build import NOW, again, keys, put, row, sent, take, uncertain

BEFORE = 5_000  # what is created before is too late; NOW is later


def young(**changes: Any) -> OutboxRow:
    fresh: dict[str, Any] = {"created_at": BEFORE, "symbol": "ETHUSDT"}
    return row(**fresh | changes)


@pytest.mark.parametrize(
    ("given", "late"),
    [
        (row(created_at=BEFORE - 1), True),
        (young(), False),
        (young(expires_at=NOW), True),
        (young(expires_at=NOW + 1), False),
        (row(kind=OutboxKind.NOTICE), False),
        (row(kind=OutboxKind.REPLY), False),
        (row(kind=OutboxKind.EDIT), False),
        (row(kind=OutboxKind.REST), False),
        (row(held=Held.FLAP), False),
        (row(rule_id="file:paused"), False),
        (row(8), False),
        (row(not_before=NOW + 9), True),
    ],
)
async def test_alerts_are_too_late_by_their_age_or_once_they_expired(
    store: Store, given: OutboxRow, late: bool
) -> None:
    await store.commit(Commit(pauses=(Pause(7, "file:paused", "p", 1, "n"),)))
    await put(store, young(), given, young())
    assert keys(await store.late_rows(7, NOW, BEFORE)) == ([given.key] if late else [])


@pytest.mark.parametrize(
    ("outcome", "late"),
    [(sent, False), (again, True), (uncertain, True), (None, True)],
    ids=["sent", "again", "uncertain", "leased"],
)
async def test_only_what_is_unsent_is_too_late(
    store: Store, outcome: Callable[..., OutboxRow] | None, late: bool
) -> None:
    await put(store, row())
    [leased] = await take(store)
    if outcome is not None:
        await store.settle([outcome(leased, 1)])
    assert keys(await store.late_rows(7, NOW, BEFORE)) == [leased.key] * late


@pytest.mark.parametrize(
    ("other", "together"),
    [
        ({"event": "resolved"}, True),
        ({"event": "reminded"}, True),
        ({"event": "resolved", "topic": 4}, True),
        ({"event": "resolved", "episode": 901}, False),
        ({"event": "resolved", "symbol": "ETHUSDT"}, False),
        ({"event": "resolved", "rule_id": "file:cold"}, False),
        ({"event": "resolved", "chat_id": 8}, False),
        ({"event": "resolved", "kind": OutboxKind.EDIT}, False),
        ({"event": "resolved", "held": Held.FLAP}, False),
    ],
)
async def test_the_later_word_on_an_episode_is_too_late_with_its_firing(
    store: Store, other: dict[str, Any], together: bool
) -> None:
    fired = row(event="fired")
    later = row(**{"created_at": BEFORE} | other)
    await put(store, later, fired)
    expected = {fired.key, later.key} if together else {fired.key}
    assert set(keys(await store.late_rows(7, NOW, BEFORE))) == expected


@pytest.mark.parametrize("event", ["resolved", "reminded", ""])
async def test_a_late_word_that_is_no_firing_takes_nothing_along(store: Store, event: str) -> None:
    late, later = row(event=event), row(event="resolved", created_at=BEFORE)
    await put(store, late, later)
    assert keys(await store.late_rows(7, NOW, BEFORE)) == [late.key]


@pytest.mark.parametrize("done", [sent, None])
async def test_a_firing_that_was_sent_or_is_held_takes_nothing_along(
    store: Store, done: Callable[[OutboxRow], OutboxRow] | None
) -> None:
    await put(store, row(event="fired", held=Held.NO if done else Held.FLAP))
    if done is not None:
        await store.settle([done(r) for r in await take(store)])
    await put(store, row(event="resolved", created_at=BEFORE))
    assert await store.late_rows(7, NOW, BEFORE) == []


async def test_an_expired_firing_takes_its_young_resolved_along_in_order(store: Store) -> None:
    fired = young(event="fired", expires_at=NOW)
    resolved = young(event="resolved")
    old = row()
    await put(store, fired, resolved, old)
    assert keys(await store.late_rows(7, NOW, BEFORE)) == keys([fired, resolved, old])


async def test_what_is_buried_is_dead_and_told_of_in_one_step(store: Store) -> None:
    rows, told = [row(), row()], row(kind=OutboxKind.NOTICE, key="told")
    await put(store, *rows, young(key="young"))
    late = await store.late_rows(7, NOW, BEFORE)
    assert await store.bury(late, "too late", (told,)) == 2
    for one in late:
        assert await store.row_of(one.key) == msgspec.structs.replace(
            one, status=OutboxStatus.DEAD, error="too late"
        )
    assert await store.late_rows(7, NOW, BEFORE) == []
    assert keys(await take(store)) == ["young"]
    assert await store.pending() == 2


async def test_what_is_under_way_is_buried_by_whom_it_was_leased_to(store: Store) -> None:
    await put(store, row())
    leased = await take(store)
    assert await store.bury(leased, "too late") == 1
    assert await store.settle([sent(r) for r in leased]) == 0
    buried = await store.row_of(leased[0].key)
    assert buried is not None
    assert (buried.status, buried.lease_until, buried.attempts) == (OutboxStatus.DEAD, 0, 1)
    assert await store.next_due(NOW) is None


async def test_what_has_changed_meanwhile_is_not_buried(store: Store) -> None:
    await put(store, row(), row(), row(8))
    stale = await store.late_rows(7, NOW, BEFORE)
    first, second = await take(store, busy=frozenset({8}))
    told = row(kind=OutboxKind.NOTICE)
    assert await store.bury(stale, "too late", (told,)) == 0
    await store.settle([again(first, 0), sent(second)])
    assert await store.bury(stale, "too late", (told,)) == 0
    assert await store.row_of(told.key) is None
    fresh = await store.late_rows(7, NOW, BEFORE)
    assert keys(fresh) == [first.key]
    assert await store.bury([*fresh, *fresh, *stale], "too late", (told,)) == 1
    assert await store.row_of(told.key) is not None


async def test_burying_nothing_tells_nothing(store: Store) -> None:
    assert await store.bury([], "too late", (row(),)) == 0
    assert await store.pending() == 0
