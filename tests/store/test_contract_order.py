"""Who goes before whom within a chat: the rest of a message, replies, alerts; in both stores."""

from collections.abc import Callable, Sequence

import pytest

from bot.store.port import Store
from bot.store.records import OutboxKind, OutboxRow
from tests.store.build import NOW, again, keys, put, reply, row, sent, take, uncertain


def named(letters: str) -> list[OutboxRow]:
    """One row for each letter: A(lert), N(otice), E(dit), r(eply), R(est); keys with numbers."""
    kinds = {
        "A": OutboxKind.ALERT,
        "N": OutboxKind.NOTICE,
        "E": OutboxKind.EDIT,
        "r": OutboxKind.REPLY,
        "R": OutboxKind.REST,
    }
    return [row(key=f"{letter}{n}", kind=kinds[letter]) for n, letter in enumerate(letters)]


async def sending_order(store: Store) -> str:
    """The keys in the order in which the rows go out."""
    order = []
    while rows := await take(store):
        order += keys(rows)
        await store.settle([sent(r) for r in rows])
    return " ".join(order)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("AAR", "R2 A0 A1"),
        ("rAR", "R2 r0 A1"),
        ("RRA", "R0 R1 A2"),
        ("ArR", "R2 r1 A0"),
        ("NrE", "r1 N0 E2"),
        ("Arrrrr", "r1 r2 r3 r4 r5 A0"),
        ("Arrrrrr", "r1 r2 r3 r4 r5 A0 r6"),
        ("ArrrrrrA", "r1 r2 r3 r4 r5 A0 A7 r6"),
        ("rrrrrrrA", "r0 r1 r2 r3 r4 A7 r5 r6"),  # also where they were there before the alert
        ("rrrArrrrr", "r0 r1 r2 r4 r5 A3 r6 r7 r8"),
        ("ArrArrrrrr", "r1 r2 r4 r5 r6 A0 A3 r7 r8 r9"),
        ("Nrrrrrr", "r1 r2 r3 r4 r5 r6 N0"),  # the bound is for alerts
        ("NrrArrrrrr", "r1 r2 r4 r5 r6 N0 A3 r7 r8 r9"),
        ("ArrrrrrR", "R7 r1 r2 r3 r4 r5 A0 r6"),
    ],
)
async def test_the_rest_goes_first_then_at_most_five_replies_then_all_by_number(
    store: Store, added: str, expected: str
) -> None:
    await put(store, *named(added))
    assert await sending_order(store) == expected


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_replies_go_on_while_an_alert_waits_for_its_time_which_then_goes_first(
    store: Store, one_by_one: bool
) -> None:
    alert, *replies = named("Arrrrrr")
    alert = row(key="A0", not_before=NOW + 1)
    await put(store, alert)
    lots: Sequence[Sequence[OutboxRow]] = [[r] for r in replies] if one_by_one else [replies]
    told = []
    for lot in lots:
        await put(store, *lot)
        told += (await sending_order(store)).split()
    assert told == ["r1", "r2", "r3", "r4", "r5", "r6"]
    await put(store, reply())
    assert keys(await take(store, NOW + 1)) == ["A0"]


async def test_commands_without_end_let_an_alert_through_after_five_answers_at_most(
    store: Store,
) -> None:
    await put(store, *(reply() for _ in range(200)))
    for second in range(60):
        if second % 10 == 0:
            await put(store, row(topic=second // 10 % 2), row(topic=second // 10 % 3))
            since = 0
        await put(store, reply(), reply())
        leased = await take(store, NOW + second * 1_000)
        since += leased[0].kind is OutboxKind.REPLY
        assert since <= 5 or not await _alerts_wait(store, leased)
        await store.settle([sent(r) for r in leased])


async def _alerts_wait(store: Store, leased: Sequence[OutboxRow]) -> bool:
    """Whether alerts wait beside what is leased."""
    waiting = await store.uncopied([leased[0].chat_id], 10)
    return not {r.id for r in waiting} <= {r.id for r in leased}


async def test_the_bound_holds_for_each_of_a_chats_topics(store: Store) -> None:
    first, second = row(topic=1), row(topic=2)
    await put(store, *(reply() for _ in range(3)), first)
    told = []
    for number in range(8):
        if number == 2:
            await put(store, second)
        await put(store, reply(key=f"r{number}"))
        [leased] = await take(store)
        told.append(leased.key)
        await store.settle([sent(leased)])
    assert told.index(first.key) == 5
    assert told.index(second.key) == 6


async def test_the_bound_is_each_chats_own(store: Store) -> None:
    await put(store, row(1), *(reply(1) for _ in range(5)), row(2))
    own = reply(2)
    await put(store, own)
    assert own.key in keys(await take(store))


async def test_a_reply_passes_again_once_the_old_alerts_are_sent(store: Store) -> None:
    await put(store, *named("Arrrrrr"))
    await sending_order(store)
    alert, answer = row(), reply()
    await put(store, alert, answer)
    assert (await sending_order(store)).split() == [answer.key, alert.key]


@pytest.mark.parametrize("outcome", [again, uncertain])
async def test_an_alert_that_failed_still_counts_who_passed_it(
    store: Store, outcome: Callable[[OutboxRow, int], OutboxRow]
) -> None:
    await put(store, *named("Arrrrr"))
    for _ in range(5):
        await store.settle([sent(r) for r in await take(store)])
    await store.settle([outcome(r, NOW + 1) for r in await take(store)])
    await put(store, reply(key="now"), reply(key="late"))
    now = await take(store)
    assert keys(now) == ["now"]
    await store.settle([sent(r) for r in now])
    alert = await take(store, NOW + 1)
    assert keys(alert) == ["A0"]
    await store.settle([sent(r) for r in alert])
    assert keys(await take(store)) == ["late"]


async def test_the_rest_of_a_message_is_added_with_its_beginning(store: Store) -> None:
    [first, second, rest] = named("AAR")
    await put(store, first)
    leased = await take(store)
    await put(store, second)
    assert await store.settle([sent(r) for r in leased], added=(rest,)) == 1
    assert await sending_order(store) == "R2 A1"


async def test_the_rest_of_a_message_that_has_to_wait_holds_all_of_its_topic(store: Store) -> None:
    await put(
        store, row(key="A"), reply(key="r"), row(kind=OutboxKind.REST, key="R", not_before=NOW + 1)
    )
    assert await take(store) == []
    assert await store.next_due(NOW) == NOW + 1
    assert keys(await take(store, NOW + 1)) == ["R"]


async def test_what_follows_from_an_outcome_is_not_added_where_that_does_not_count(
    store: Store,
) -> None:
    await put(store, row())
    [first] = await take(store)
    [second] = await take(store, NOW + 60_000)
    rest = row(kind=OutboxKind.REST)
    assert await store.settle([sent(first)], added=(rest,)) == 0
    assert await store.row_of(rest.key) is None
    assert await store.settle([sent(second)], added=(rest,)) == 1
    assert await store.settle([sent(second)], added=(row(key="no"),)) == 0
    assert keys(await take(store)) == [rest.key]


async def test_a_run_is_neither_cut_nor_mixed_by_kind_or_doubt(store: Store) -> None:
    await put(store, row(key="A0"), row(key="A1", not_before=NOW + 1))
    await store.settle([uncertain(r) for r in await take(store)])
    await put(store, row(key="N2", kind=OutboxKind.NOTICE), row(key="A3"), row(key="A4"))
    runs = []
    while rows := await take(store, NOW + 1, limit=1):
        runs.append(keys(rows))
        await store.settle([sent(r) for r in rows])
    assert runs == [["A0"], ["A1"], ["N2"], ["A3", "A4"]]
