"""What an outcome changes: in both stores."""

import msgspec
import pytest

from bot.store.port import Store
from bot.store.records import (
    ChatRow,
    Commit,
    OutboxStatus,
)
from tests.store.build import NOW, UNTIL, again, put, row, sent, take, uncertain


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


@pytest.mark.parametrize("changes", [{"id": 999}, {"lease": 0}, {"lease": 2}])
async def test_an_outcome_of_what_was_not_leased_so_does_not_count(
    store: Store, changes: dict[str, int]
) -> None:
    await put(store, row())
    [leased] = await take(store)
    assert await store.settle([msgspec.structs.replace(sent(leased), **changes)]) == 0
    assert await store.pending() == 1


async def test_an_attempt_that_was_not_made_is_given_back_and_its_lease_is_over_all_the_same(
    store: Store,
) -> None:
    await put(store, row())
    [first] = await take(store)
    unused = msgspec.structs.replace(again(first, 0), attempts=0)
    assert await store.settle([unused]) == 1
    [second] = await take(store)
    assert (second.attempts, second.lease) == (1, 2)
    assert await store.settle([sent(first)]) == 0
    assert await store.bury([first], "late") == 0
    assert await store.settle([uncertain(second)]) == 1
    assert [(r.attempts, r.lease) for r in await take(store)] == [(2, 3)]


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
