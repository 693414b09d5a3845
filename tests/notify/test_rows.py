"""Rows from events and texts, their grouping, and what outcomes make of them."""

import msgspec
import pytest

from bot.alerts.lifecycle import Kind
from bot.notify.batch import first_message, items_of, one_rule, too_late, written_of
from bot.notify.channel import (
    Button,
    Doubtful,
    Later,
    Moved,
    Never,
    Outcome,
    Refused,
    Sent,
    TokenRefused,
    TopicGone,
    Unparsable,
    Written,
)
from bot.notify.item import Reader
from bot.notify.keyboard import alert_keyboard, keyboard, watch_number
from bot.notify.payload import (
    decode_payload,
    edit_row,
    notice_row,
    outbox_row_for,
    reply_row,
    short_id,
)
from bot.notify.settling import dead, released, settled, spacing
from bot.rules.rule import Target
from bot.store.records import OutboxKind, OutboxRow, OutboxStatus
from tests.notify.events import AT, HOUR, T, event, row, snapshot

HERE = Target(7, None)


def numbered(*rows: OutboxRow) -> list[OutboxRow]:
    return [msgspec.structs.replace(one, id=number) for number, one in enumerate(rows, 1)]


def test_payloads_read_back_as_they_were() -> None:
    made = event(note="<&> 币", kind=Kind.RESOLVED, peak=None)
    assert decode_payload(row(made)) == made
    written = Written("<b>x</b>", ((Button("a", "unmute"),),), silent=True)
    assert decode_payload(reply_row(9, HERE, written, 1)) == written


@pytest.mark.parametrize(
    "changed",
    [
        {"rule_id": "file:other"},
        {"fingerprint": "beef"},
        {"symbol": "ETHUSDT"},
        {"since": AT - 1},
        {"kind": Kind.RESOLVED},
        {"number": 2},
    ],
)
def test_the_key_tells_events_apart(changed: dict[str, object]) -> None:
    assert row(event()).key != row(msgspec.structs.replace(event(), **changed)).key


def test_the_key_tells_places_apart_and_nothing_else() -> None:
    assert row(event(), topic=3).key != row(event()).key
    assert row(event(), chat_id=8).key != row(event()).key
    assert row(event(note="new", value=1.0, at=AT + 5), at=99).key == row(event()).key


def test_keys_of_texts_are_their_own() -> None:
    written = Written("x", edit_of=4)
    keys = {
        reply_row(1, HERE, written, 1).key,
        reply_row(1, HERE, written, 1, number=1).key,
        reply_row(2, HERE, written, 1).key,
        notice_row("1", HERE, written, 1).key,
        edit_row("1", HERE, written, 1).key,
    }
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("changes", "expires_at"),
    [
        ({"countdown": True}, 500 + T - AT),
        ({"countdown": True, "at": T}, None),
        ({"countdown": True, "kind": Kind.RESOLVED}, None),
        ({"countdown": True, "snapshot": snapshot(next_funding_time=0)}, None),
        ({}, None),
    ],
)
def test_a_countdown_expires_as_long_after_now_as_t_is_after_the_event(
    changes: dict[str, object], expires_at: int | None
) -> None:
    made = msgspec.structs.replace(event(), **changes)
    assert outbox_row_for(made, HERE, 500).expires_at == expires_at


def test_alerts_of_the_first_topic_go_together_and_the_others_later() -> None:
    a, b, c, d = numbered(
        row(event("A"), topic=3),
        row(event("B")),
        row(event("C"), topic=3),
        row(event("D")),
    )
    assert first_message([a, b, c, d]) == ([a, c], [b, d])
    assert first_message([b, d]) == ([b, d], [])


def test_a_message_is_of_one_rule_where_all_its_alerts_are() -> None:
    a, b = row(event("A")), row(event("B"))
    other = row(event("C", rule_id="watch:7:1"))
    assert one_rule([a]) == one_rule([a, b]) == "file:hot-longs"
    assert one_rule([a, other]) == one_rule([reply_row(1, HERE, Written("x"), 1)]) == ""


@pytest.mark.parametrize(
    ("age", "kind", "doubtful", "late"),
    [
        (HOUR, OutboxKind.ALERT, False, False),
        (HOUR + 1, OutboxKind.ALERT, False, True),
        (HOUR + 1, OutboxKind.REPLY, True, True),
        (9 * HOUR, OutboxKind.REPLY, False, False),
        (9 * HOUR, OutboxKind.NOTICE, False, False),
        (HOUR + 1, OutboxKind.EDIT, True, True),
        (9 * HOUR, OutboxKind.EDIT, False, False),
    ],
)
def test_alerts_age_and_so_does_what_may_have_arrived(
    age: int, kind: OutboxKind, doubtful: bool, late: bool
) -> None:
    made = msgspec.structs.replace(row(event(), at=0), kind=kind, doubtful=doubtful)
    assert too_late(made, age, HOUR) is late


def test_a_countdown_loses_its_worth_at_t() -> None:
    made = row(event(countdown=True, at=T - 5_000), at=1_000)
    assert not too_late(made, 5_999, HOUR)
    assert too_late(made, 6_000, HOUR)


def test_a_late_and_doubtful_answer_says_so() -> None:
    made = msgspec.structs.replace(reply_row(1, HERE, Written("ok"), 0), doubtful=True)
    (written,) = written_of([made], Reader(), 12 * 60_000)
    assert written.text == f"ok\n⏱ 12m late\n♻️ Possible repeat #{short_id(made)}"


def test_an_edit_is_never_marked() -> None:
    edit = edit_row("x", HERE, Written("new", edit_of=5), 0)
    made = msgspec.structs.replace(edit, doubtful=True)
    assert written_of([made], Reader(), HOUR) == [Written("new", edit_of=5)]


def test_a_long_text_answers_with_its_first_part_and_has_buttons_under_its_last() -> None:
    buttons = ((Button("a", "unmute"),),)
    made = reply_row(1, HERE, Written("word " * 2_000, buttons, reply_to=4), 0)
    parts = written_of([made], Reader(), 0)
    assert [part.reply_to for part in parts] == [4, None, None]
    assert [part.buttons for part in parts] == [(), (), buttons]


def test_items_are_the_alerts_with_age_and_doubt() -> None:
    first, second = numbered(row(event(), at=0), reply_row(1, HERE, Written("x"), 0))
    doubtful = msgspec.structs.replace(first, doubtful=True)
    (item,) = items_of([doubtful, second], 5_000)
    assert (item.row_id, item.late, item.doubt) == (1, 5_000, short_id(first))


@pytest.mark.parametrize(
    ("outcome", "doubtful", "status", "not_before"),
    [
        (Sent(5), False, OutboxStatus.SENT, 0),
        (Later("x"), False, OutboxStatus.NEW, 1_000 + 2_000),
        (Later("x"), True, OutboxStatus.UNCERTAIN, 1_000 + 2_000),
        (Later("x", 7.0), False, OutboxStatus.NEW, 1_000 + 7_000),
        (Doubtful("x"), False, OutboxStatus.UNCERTAIN, 1_000 + 10_000),
        (Never("x"), False, OutboxStatus.NEW, 1_000),
        (Moved(-9), False, OutboxStatus.NEW, 1_000),
        (TopicGone("x"), False, OutboxStatus.DEAD, 0),
        (TokenRefused("x"), False, OutboxStatus.NEW, 1_000 + 2_000),
        (Refused("x"), False, OutboxStatus.DEAD, 0),
        (Unparsable("x"), False, OutboxStatus.DEAD, 0),
    ],
)
def test_what_an_outcome_makes_of_a_row(
    outcome: Outcome, doubtful: bool, status: OutboxStatus, not_before: int
) -> None:
    leased = msgspec.structs.replace(
        row(event()), status=OutboxStatus.LEASED, attempts=2, doubtful=doubtful
    )
    (after,) = settled([leased], outcome, 1_000)
    assert (after.status, after.not_before) == (status, not_before)
    assert after.doubtful is (doubtful or isinstance(outcome, Doubtful))
    if isinstance(outcome, Sent):
        assert (after.message_id, after.sent_at) == (5, 1_000)


def test_spacing_grows_to_its_most() -> None:
    assert [spacing(n, 5, 60) for n in range(1, 7)] == [5, 10, 20, 40, 60, 60]
    assert spacing(10**6, 5, 60) == 60


def test_released_rows_wait_as_they_did_and_the_dead_say_why() -> None:
    leased = msgspec.structs.replace(row(event()), status=OutboxStatus.LEASED, attempts=3)
    [waits] = released([leased])
    assert (waits.status, waits.attempts) == (OutboxStatus.NEW, 2)  # a request is an attempt
    assert dead([leased], "too late")[0].error == "too late"


@pytest.mark.parametrize(
    ("rule_id", "number"),
    [("watch:-100:12", 12), ("watch:3", 3), ("file:watch:3", None), ("watch:x", None)],
)
def test_only_a_watch_has_a_number(rule_id: str, number: int | None) -> None:
    assert watch_number(rule_id) == number


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({}, ["why:BTCUSDT", "mute:3600"]),
        ({"rule_id": "watch:7:3"}, ["why:BTCUSDT", "mute:3600", "unwatch:3"]),
        ({"kind": Kind.REMINDED}, ["why:BTCUSDT", "mute:3600"]),
        ({"kind": Kind.RESOLVED}, []),
        ({"symbol": "币" * 21}, ["mute:3600"]),
        ({"symbol": "币" * 20}, ["why:" + "币" * 20, "mute:3600"]),
    ],
)
def test_buttons_under_an_alert(changes: dict[str, object], data: list[str]) -> None:
    made = msgspec.structs.replace(event(), **changes)
    shown = alert_keyboard(made, lambda text: text)
    assert [button.data for line in shown for button in line] == data


def test_an_empty_row_of_buttons_is_left_out() -> None:
    assert keyboard([[], [Button("x", "")], [Button("x", "y" * 65)]]) == ()
