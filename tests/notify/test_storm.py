"""The two rules of storms, without any delivery: how many messages, how many firings."""

import sys
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.lifecycle import Kind
from bot.locale import translator
from bot.notify.batch import written_of
from bot.notify.item import Reader
from bot.notify.keyboard import pause_keyboard, rule_handle
from bot.notify.markup import plain_text
from bot.notify.payload import event_of, is_flapping, outbox_row_for
from bot.notify.storm import HOUR, MESSAGES, WITHIN, Flapping, RuleMessages, Telling
from bot.rules.rule import Target
from bot.store.records import Firing, Held, OutboxRow, OutboxStatus, RecentSend
from tests.notify.events import AT, event

START = 1_790_000_000_000
MINUTE = 60_000
RULE, SYMBOL = "file:hot", "BTCUSDT"


def filled(count: int, every: int = 1_000) -> RuleMessages:
    messages = RuleMessages()
    for number in range(count):
        messages.sent(7, RULE, START + number * every)
    return messages


@pytest.mark.parametrize(
    ("sent", "later", "full"),
    [
        (MESSAGES - 1, 20_000, False),
        (MESSAGES, 20_000, True),
        (MESSAGES, WITHIN, True),
        (MESSAGES, WITHIN + 1, False),  # the first of them is out
        (MESSAGES + 1, WITHIN + 1, True),
        (MESSAGES, 10 * WITHIN, False),
    ],
)
def test_a_rule_is_full_after_15_messages_within_3_minutes(
    sent: int, later: int, full: bool
) -> None:
    assert filled(sent).is_full(7, RULE, START + later) is full


def test_other_chats_and_rules_are_counted_by_themselves() -> None:
    messages = filled(MESSAGES)
    assert not messages.is_full(8, RULE, START + 20_000)
    assert not messages.is_full(7, "file:other", START + 20_000)


def test_a_rule_that_is_forgotten_begins_anew_and_others_do_not() -> None:
    messages = filled(MESSAGES)
    for _ in range(MESSAGES):
        messages.sent(8, RULE, START + 16_000)
    messages.forget(7, RULE)
    assert not messages.is_full(7, RULE, START + 20_000)
    assert messages.is_full(8, RULE, START + 20_000)
    messages.sent(7, RULE, START + 20_000)
    assert not messages.is_full(7, RULE, START + WITHIN + 20_000)


def test_what_an_earlier_run_sent_counts_and_mixed_messages_do_not() -> None:
    messages = RuleMessages()
    sends = [RecentSend(7, START + number, RULE) for number in range(MESSAGES)]
    sends += [RecentSend(8, START + number) for number in range(MESSAGES)]
    messages.restore(sends)
    assert messages.is_full(7, RULE, START + 1_000)
    assert not messages.is_full(8, "", START + 1_000)


def test_a_flood_of_messages_leaves_nothing_behind() -> None:
    messages = RuleMessages()
    for number in range(5_000):
        messages.sent(number, RULE, START + number)
    messages.is_full(7, RULE, START + 2 * WITHIN)
    assert not messages._recent
    assert not messages._counts


def told(flapping: Flapping, minutes: Sequence[float], symbol: str = SYMBOL) -> list[str]:
    """How firings at these minutes are told."""
    return [
        flapping.note(RULE, symbol, Kind.FIRED, START + round(at * MINUTE)).value for at in minutes
    ]


@pytest.mark.parametrize(
    ("minutes", "tellings"),
    [
        ([0, 1, 2, 3, 4, 5], "tell " * 6),
        ([0, 1, 2, 3, 4, 5, 6], "tell " * 6 + "say"),
        ([0, 1, 2, 3, 4, 5, 59.9], "tell " * 6 + "say"),
        ([0, 1, 2, 3, 4, 5, 60], "tell " * 7),  # the first is an hour ago
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], "tell " * 6 + "say fold fold"),
        ([0, 1, 2, 3, 4, 5, 6, 70], "tell " * 6 + "say tell"),
        ([*range(7), *range(70, 79)], "tell " * 6 + "say " + "tell " * 6 + "say fold fold"),
        # Every 9 minutes: each is the 7th within an hour, which is said once.
        ([*range(0, 9 * 12, 9)], "tell " * 6 + "say" + " fold" * 5),
        ([*range(0, 11 * 12, 11)], "tell " * 12),
    ],
)
def test_firings_are_told_said_and_folded(minutes: list[float], tellings: str) -> None:
    assert told(Flapping(), minutes) == tellings.split()


def test_all_that_a_flapping_pair_tells_is_folded_and_nobody_else() -> None:
    flapping = Flapping()
    told(flapping, [0, 1, 2, 3, 4, 5, 6])
    at = START + 7 * MINUTE
    assert flapping.note(RULE, SYMBOL, Kind.RESOLVED, at) is Telling.FOLD
    assert flapping.note(RULE, SYMBOL, Kind.REMINDED, at) is Telling.FOLD
    assert flapping.note(RULE, "ETHUSDT", Kind.FIRED, at) is Telling.TELL
    assert flapping.note("file:other", SYMBOL, Kind.FIRED, at) is Telling.TELL


def test_the_end_of_a_long_episode_is_told_by_itself_again() -> None:
    flapping = Flapping()
    told(flapping, [0, 1, 2, 3, 4, 5, 6, 7])
    at = START + 66 * MINUTE
    assert flapping.is_flapping(RULE, SYMBOL, at - 6 * MINUTE)
    assert not flapping.is_flapping(RULE, SYMBOL, at)
    assert flapping.note(RULE, SYMBOL, Kind.RESOLVED, at) is Telling.TELL


def test_a_restart_in_the_middle_changes_nothing() -> None:
    minutes = [*range(7), *range(70, 79), *range(80, 190, 9)]
    without = told(Flapping(), minutes)
    for cut in range(len(minutes)):
        before, after = minutes[:cut], minutes[cut:]
        now = before[-1] if before else 0
        again = Flapping()
        again.restore(
            Firing(RULE, "f1", SYMBOL, START + minute * MINUTE)
            for minute in reversed(before)
            if minute >= now - 120
        )
        assert told(again, after) == without[cut:]


def test_a_rule_that_ended_or_moved_takes_its_firings_along() -> None:
    flapping = Flapping()
    told(flapping, [0, 1, 2, 3, 4, 5, 6])
    flapping.rename({RULE: "file:hotter"}, -1, -2)
    at = START + 7 * MINUTE
    assert flapping.is_flapping("file:hotter", SYMBOL, at)
    assert not flapping.is_flapping(RULE, SYMBOL, at)
    flapping.forget("file:hotter", SYMBOL)
    assert flapping.note("file:hotter", SYMBOL, Kind.FIRED, at) is Telling.TELL
    flapping.forget("file:hotter")
    assert not flapping._times


def test_a_clock_that_went_back_folds_nothing_for_what_lies_ahead() -> None:
    flapping = Flapping()
    told(flapping, [600, 601, 602, 603, 604, 605, 606])
    assert told(flapping, [0, 1]) == ["tell", "tell"]


def test_a_storm_of_pairs_takes_little_memory_and_is_forgotten_after_an_hour() -> None:
    flapping = Flapping()
    rules = [f"watch:{chat}:1" for chat in range(50)]
    symbols = [f"S{number}USDT" for number in range(900)]
    for rule in rules:
        for symbol in symbols:
            flapping.note(rule, symbol, Kind.FIRED, START + len(symbol))
    times = flapping._times
    size = sum(map(sys.getsizeof, times.values()))
    size += sum(sys.getsizeof(at) for own in times.values() for at in own.values())
    assert size < 10_000_000
    flapping.note("file:other", SYMBOL, Kind.FIRED, START + HOUR + MINUTE)
    assert list(flapping._times) == ["file:other"]


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 20 * MINUTE),  # since the last one
        st.sampled_from([Kind.FIRED, Kind.FIRED, Kind.RESOLVED, Kind.REMINDED]),
        st.sampled_from(["AUSDT", "BUSDT"]),
    ),
    max_size=80,
)


@given(EVENTS)
def test_every_event_is_told_once_and_a_stretch_is_said_once(
    events: list[tuple[int, Kind, str]],
) -> None:
    flapping, at = Flapping(), START
    fired: dict[str, list[int]] = {"AUSDT": [], "BUSDT": []}
    tellings: dict[str, list[Telling]] = {"AUSDT": [], "BUSDT": []}
    counts: Counter[Telling] = Counter()
    for pause, kind, symbol in events:
        at += pause
        telling = flapping.note(RULE, symbol, kind, at)
        counts[telling] += 1
        tellings[symbol].append(telling)
        if kind is Kind.FIRED:
            fired[symbol].append(at)
        recent = sum(at - HOUR < one <= at for one in fired[symbol])
        if telling is Telling.SAY:
            assert kind is Kind.FIRED
            assert recent == 7
        elif telling is Telling.FOLD:
            assert recent >= 6
        elif kind is Kind.FIRED:
            assert recent <= 6
    assert counts.total() == len(events)
    for one in tellings.values():  # what is folded was said before, once in its stretch
        told_before = Telling.TELL
        for telling in one:
            if telling is Telling.FOLD:
                assert told_before is not Telling.TELL
            if telling is Telling.SAY:
                assert told_before is Telling.TELL
            told_before = telling


def stored(telling: Telling, number: int = 1) -> OutboxRow:
    """A row as it comes back from the store."""
    target = Target(7, None)
    row = outbox_row_for(event(f"S{number}USDT", since=AT + number), target, START, telling)
    return msgspec.structs.replace(row, id=number, status=OutboxStatus.LEASED)


def text_of(*rows: OutboxRow) -> str:
    return plain_text(written_of(rows, Reader(), START)[0].text)


@pytest.mark.parametrize("alerts", [1, 3, 4])
def test_the_firing_that_is_one_too_many_says_what_follows(alerts: int) -> None:
    rows = [stored(Telling.TELL, number) for number in range(1, alerts)]
    said = "Fired 7 times within an hour: from here on a summary every 15 min"
    assert said in text_of(*rows, stored(Telling.SAY, alerts))
    assert said not in text_of(*rows, stored(Telling.TELL, alerts))


def test_in_a_table_its_row_has_a_sign_of_its_own() -> None:
    rows = [stored(Telling.SAY if number == 3 else Telling.TELL, number) for number in range(1, 6)]
    lines = text_of(*rows).splitlines()
    assert [line[0] for line in lines if "USDT" in line] == ["▲", "▲", "⇅", "▲", "▲"]
    assert len({len(line) for line in lines if "USDT" in line}) == 1


@pytest.mark.parametrize("telling", Telling)
def test_only_what_is_folded_is_held_and_its_event_is_as_ever(telling: Telling) -> None:
    row = stored(telling)
    assert row.held is (Held.FLAP if telling is Telling.FOLD else Held.NO)
    assert row.event == "fired"
    assert event_of(row) == event("S1USDT", since=AT + 1)
    assert is_flapping(row) is (telling is Telling.SAY)


def test_the_resume_button_fits_whatever_the_rule_is_called_and_tells_rules_apart() -> None:
    ids = ["file:hot", f"file:{'热' * 200}", "watch:-100:1", "watch:-100:2"]
    buttons = [pause_keyboard(rule_id, translator("zh"))[0][0] for rule_id in ids]
    assert {button.text for button in buttons} == {"恢复"}
    assert len({button.data for button in buttons}) == len(ids)
    assert all(button.data.startswith("resume:") for button in buttons)


def test_a_watch_keeps_its_resume_button_when_its_chat_gets_another_id() -> None:
    assert rule_handle("watch:-100:3") == rule_handle("watch:-1001234:3")
