"""The checker, by itself: cases made by hand, each with what must be said of it."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.chaos.checker import (
    Gap,
    Spell,
    Terms,
    Watched,
    gaps,
    gaps_of,
    judge,
    problems,
    wrong_notices,
)
from tests.chaos.delivered import (
    Grade,
    Judge,
    Row,
    VenueTime,
    rows_of_message,
    rows_of_premium_index,
)
from tests.chaos.told import BACK, DOUBT, FIRED, RESOLVED, Notice, Told

LOW, HIGH = "0.00010000", "0.00200000"
BASE = 1_790_000_000_000  # ms, E at local time 0
TERMS = Terms(patience=10.0, slack=5.0)


def row(at: float, rate: str = LOW, *, late: float = 0.0, symbol: str = "A", T: int = 1) -> Row:  # noqa: N803 - the venue's name
    """A row that arrives at `at` with an E that is `late` seconds older."""
    return Row(at, symbol, BASE + round((at - late) * 1000), rate, T)


def told(at: float, kind: str, rate: str) -> Told:
    return Told(at, "A", kind, Decimal(rate))


def rows(begun: float, ended: float, rate: str) -> list[Row]:
    """One a second."""
    return [row(float(at), rate) for at in range(int(begun), int(ended) + 1)]


QUIET, LOUD = rows(0, 9, LOW), rows(10, 30, HIGH)
UP, DOWN = told(10.5, FIRED, HIGH), told(31.5, RESOLVED, LOW)


def wrong_with(
    delivered: list[Row],
    said: list[Told],
    watched: dict[str, Watched],
    terms: Terms,
    spells: Sequence[Spell] = (),
) -> list[str]:
    return problems(judge(delivered, terms, spells), said, watched, terms, spells)


CASES = {
    "told in time": (QUIET + LOUD, [UP], ""),
    "told, and told that it is over": (QUIET + LOUD + rows(31, 45, LOW), [UP, DOWN], ""),
    "never told": (QUIET + LOUD, [], "never told as fired"),
    "told too late": (QUIET + rows(10, 25, HIGH), [told(31, FIRED, HIGH)], "never told as fired"),
    "true too briefly to oblige": (QUIET + rows(10, 15, HIGH) + rows(16, 30, LOW), [], ""),
    "its end never told": (LOUD + rows(31, 45, LOW), [UP], "never told as resolved"),
    "fired on nothing": (QUIET, [told(5, FIRED, HIGH)], "no row that may be believed"),
    "fired with a value of no row": (QUIET + LOUD, [told(11, FIRED, "0.003")], "no row"),
    "fired before its row came": (QUIET + LOUD, [told(9.9, FIRED, HIGH)], "no row"),
    "resolved in a gap": (
        LOUD, [UP, told(50, RESOLVED, LOW)], "no row that may be believed",
    ),
    "fired long after its row": (
        QUIET + rows(10, 12, HIGH), [told(30, FIRED, HIGH)], "came 18.0 s before",
    ),
    "fired twice": (QUIET + LOUD, [UP, told(20, FIRED, HIGH)], "fired twice"),
    "resolved first": (QUIET, [told(5, RESOLVED, LOW)], "without having fired"),
    "fired on a row that repeats an old time": (
        [*rows(0, 9, LOW), row(9.5, HIGH, late=5)], [told(10, FIRED, HIGH)], "no row",
    ),
    "resolved on a row from before it fired": (
        [*QUIET, row(9.8, LOW), row(10, HIGH), row(10.2, HIGH), row(10.3, LOW, late=0.6)],
        [told(10.1, FIRED, HIGH), told(10.4, RESOLVED, LOW)],
        "no row",
    ),
    "fired on a stale row": (
        [row(0, symbol="B"), row(60, symbol="B"), row(60.1, HIGH, late=40)],
        [told(60.5, FIRED, HIGH)],
        "no row",
    ),
    "a row without funding is no truth": (
        [*QUIET, *(row(float(at), HIGH, T=0) for at in range(10, 30))], [], "",
    ),
    "fired where no funding is paid": (
        [*QUIET, row(10, HIGH, T=0)], [told(10.5, FIRED, HIGH)], "no row",
    ),
    "a symbol that nobody watches": ([], [Told(1, "B", FIRED, Decimal(HIGH))], "nobody watches"),
    "REST may justify": (
        [*QUIET, Row(10, "A", BASE + 10_000, HIGH, 1, rest=True)], [told(10.5, FIRED, HIGH)], "",
    ),
    "REST obliges to nothing": (
        [*QUIET, *(Row(at, "A", BASE + at * 1000, HIGH, 1, rest=True) for at in range(10, 40))],
        [],
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("delivered", "said", "words"), CASES.values(), ids=CASES)
def test_what_was_told_is_held_against_what_was_delivered(
    delivered: list[Row], said: list[Told], words: str
) -> None:
    found = wrong_with(delivered, said, {"A": Watched()}, TERMS)
    if words:
        assert any(words in each for each in found), found
    else:
        assert found == []


@pytest.mark.parametrize(
    ("at", "words"), [(10.5, "not held"), (11.9, "not held"), (12.0, ""), (13.0, "")]
)
def test_a_hold_must_be_earned_by_rows(at: float, words: str) -> None:
    delivered = QUIET + rows(10, int(at), HIGH)
    found = wrong_with(delivered, [told(at, FIRED, HIGH)], {"A": Watched(hold=2_000)}, TERMS)
    assert (words in found[0]) if words else (found == [])


def test_rows_of_a_burst_may_be_passed_over_but_not_what_was_false_for_long() -> None:
    watched = {"A": Watched(hold=2_000)}
    for brief, wrong in ((0.2, 0), (1.0, 1)):
        false = [row(12, LOW), row(12 + brief, LOW)]
        delivered = QUIET + rows(10, 11, HIGH) + false + [row(13.1, HIGH)]
        found = wrong_with(delivered, [told(13.2, FIRED, HIGH)], watched, TERMS)
        assert len(found) == wrong


def test_a_hold_is_not_earned_by_a_gap() -> None:
    delivered = [*QUIET, row(10, HIGH), row(50, HIGH)]
    found = wrong_with(delivered, [told(50.5, FIRED, HIGH)], {"A": Watched(hold=2_000)}, TERMS)
    assert "not held" in found[0]


def test_an_alert_that_may_have_ended_without_a_word_may_fire_anew() -> None:
    said = [UP, told(25, FIRED, HIGH)]
    for spell, wrong in ((Spell("A", 20, 22, ends=True), 0), (Spell("B", 20, 22, ends=True), 1)):
        assert len(wrong_with(QUIET + LOUD, said, {"A": Watched()}, TERMS, [spell])) == wrong


def test_a_contract_that_was_not_traded_obliges_to_nothing_until_it_must_be_known() -> None:
    delivered = QUIET + LOUD + rows(31, 45, LOW)
    for until, wrong in ((45, 0), (15, 1)):
        spell = Spell("A", 12, until, ends=True)
        assert len(wrong_with(delivered, [UP], {"A": Watched()}, TERMS, [spell])) == wrong


def test_rest_justifies_nothing_while_it_lies() -> None:
    delivered = [*QUIET, Row(10, "A", BASE + 10_000, HIGH, 1, rest=True)]
    lie = Spell("A", 9, 12, rest_lies=True)
    found = wrong_with(delivered, [told(10.5, FIRED, HIGH)], {"A": Watched()}, TERMS, [lie])
    assert "no row" in found[0]


GOOD, DOUBTFUL, BAD = Grade


@pytest.mark.parametrize(
    ("delivered", "last"),
    [
        ([row(0), row(1)], GOOD),
        ([row(1), row(1)], BAD),
        ([row(1), row(1.5, late=1)], BAD),
        ([row(0), row(40, late=33)], BAD),
        ([row(0, symbol="B"), row(39.9, symbol="B"), row(40, late=33)], BAD),
        ([row(0, symbol="B"), row(39.9, symbol="B"), row(40, late=30.5)], DOUBTFUL),
        ([row(0, symbol="B"), row(39.9, symbol="B"), row(40, late=20)], GOOD),
        ([row(0), row(1, late=-59)], DOUBTFUL),
        ([row(0), row(1, late=-50)], GOOD),
        ([row(0), row(1, late=-100)], BAD),
        ([row(0), *(row(at / 2, late=-100, symbol="AB"[at % 2]) for at in range(2, 12))], DOUBTFUL),
        ([row(0), *(row(at / 2, late=-100, symbol="AB"[at % 2]) for at in range(2, 20))], GOOD),
        ([row(0), *(row(at / 2, late=-100) for at in range(2, 20))], DOUBTFUL),
        ([row(0), *(row(at, late=-100) for at in (1, 3, 6)), row(7)], DOUBTFUL),
        (
            [
                row(0),
                *(row(at / 2, late=-100, symbol="AB"[at % 2]) for at in range(2, 20)),
                row(11),
            ],
            BAD,
        ),
    ],
)
def test_rows_are_graded(delivered: list[Row], last: Grade) -> None:
    assert list(Judge(30_000).all(delivered))[-1].grade is last


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"e":"markPriceUpdate","E":5,"s":"A","r":"0.1","T":9}', [("A", 5, "0.1", 9)]),
        (
            (
                '{"stream":"!","data":[{"e":"markPriceUpdate","E":5,"s":"A","r":"0.1","T":9},'
                '{"e":"markPriceUpdate","E":5,"s":"B","r":"","T":0,"st":1},'
                '{"e":"markPriceUpdate","E":5,"s":"C_PERP","r":"1","T":1,"st":2}]}'
            ),
            [("A", 5, "0.1", 9), ("B", 5, "", 0)],
        ),
        ('[{"e":"markPriceUpdate","E":"5","s":"A"},{"e":"aggTrade","E":5,"s":"A"},7,null]', []),
        ('{"result":null,"id":1}', []),
        ('[{"e":', []),
    ],
)
def test_rows_are_read_from_messages(body: str, found: list[tuple[str, int, str, int]]) -> None:
    read = rows_of_message(body.encode(), 1.0, 3)
    assert [(r.symbol, r.event_time, r.rate, r.funding) for r in read] == found
    assert all((r.at, r.link, r.rest) == (1.0, 3, False) for r in read)


def test_rows_are_read_from_rest() -> None:
    body = b'[{"symbol":"A","lastFundingRate":"0.1","nextFundingTime":9,"time":5},{"symbol":"B"}]'
    assert rows_of_premium_index(body, 2.0) == [Row(2.0, "A", 5, "0.1", 9, rest=True)]


@pytest.mark.parametrize(
    ("told_at", "offset", "last"),
    [
        (3.0, 100, GOOD),  # REST agrees: followed at once
        (7.9, 100, DOUBTFUL),  # just now
        (3.0, 0, BAD),  # REST does not agree: never followed
        (7.9, 0, DOUBTFUL),  # just now, and they had agreed for long
        (0.0, 0, GOOD),  # before they came: it says nothing
    ],
)
def test_rest_decides_whether_rows_from_another_time_count(
    told_at: float, offset: float, last: Grade
) -> None:
    ahead = [row(at / 2, late=-100, symbol="AB"[at % 2]) for at in range(4, 23)]
    times = [VenueTime(told_at, BASE + round((told_at + offset) * 1000))]
    until = 8.0 if told_at > 5 else 11.0
    delivered = [row(0), *(each for each in ahead if each.at <= until)]
    assert list(Judge(30_000, times).all(delivered))[-1].grade is last


def test_asked_again_and_again_rest_leaves_no_doubt() -> None:
    ahead = [row(at / 2, late=-100, symbol="AB"[at % 2]) for at in range(4, 80)]
    times = [VenueTime(float(at), BASE + at * 1000) for at in range(2, 40, 3)]
    judged = list(Judge(30_000, times).all([row(0), *ahead]))
    assert {each.grade for each in judged[1:]} == {BAD}


def test_gaps_are_the_times_without_rows() -> None:
    assert gaps([1, 2, 14, 15, 40], 0, 60) == [Gap(2, 14), Gap(15, 40), Gap(40, None)]
    assert gaps([20], 0, 21) == [Gap(0, 20)]


def doubt(at: float) -> Notice:
    return Notice(at, DOUBT)


def back(at: float) -> Notice:
    return Notice(at, BACK)


@pytest.mark.parametrize(
    ("found", "said", "words"),
    [
        ([Gap(0, 30)], [doubt(16), back(53)], ""),
        ([Gap(0, 30)], [], "0 messages that the feed is in doubt"),
        ([Gap(0, 30)], [doubt(16)], "0 messages that the feed is back"),
        ([Gap(0, 30)], [doubt(16), doubt(20), back(53)], "2 messages that the feed is in doubt"),
        ([Gap(0, 30)], [doubt(16), back(53), back(56)], "2 messages that the feed is back"),
        ([Gap(0, 30)], [doubt(25), back(53)], "said 25.0 s after"),
        ([Gap(0, 30)], [doubt(16), back(70)], "without an outage"),
        ([Gap(0, 30)], [doubt(16), back(25)], "while no rows came"),
        ([Gap(0, 8)], [], ""),
        ([Gap(0, 8)], [doubt(7)], "without an outage"),
        ([Gap(0, 16)], [], ""),
        ([Gap(0, 16)], [doubt(15.5), back(39)], ""),
        ([Gap(0, 16)], [doubt(15.5)], "0 messages that the feed is back"),
        ([Gap(0, 25), Gap(35, 58)], [doubt(16), back(81)], ""),  # one fault
        ([Gap(0, 25), Gap(35, 58)], [doubt(16), doubt(51), back(81)], "2 messages"),
        ([Gap(0, 8), Gap(10, 33)], [doubt(26), back(56)], ""),
        ([Gap(0, 25), Gap(28, 36)], [doubt(16), back(59)], ""),
        ([Gap(0, 20.5), Gap(40, 61)], [doubt(16), back(85)], ""),  # open whether it was back
        ([Gap(0, 20.5), Gap(40, 61)], [doubt(16), back(38), doubt(56), back(85)], ""),
        ([], [doubt(15.5)], "without an outage"),
        ([Gap(50, None)], [doubt(66)], ""),
        ([Gap(50, None)], [], "0 messages that the feed is in doubt"),
        ([Gap(50, None)], [doubt(66), back(90)], "while no rows came"),
        ([Gap(90, None)], [], ""),
        ([Gap(60, 90)], [doubt(76)], ""),  # too early to say
    ],
)
def test_each_outage_is_said_once_and_so_is_its_end(
    found: list[Gap], said: list[Notice], words: str
) -> None:
    wrong = wrong_notices(found, said, 100.0)
    assert (any(words in each for each in wrong)) if words else (wrong == []), wrong


def test_in_a_gap_that_may_be_one_something_may_be_said() -> None:
    said = [doubt(16), back(53)]
    assert wrong_notices([], said, 100.0, [Gap(0, 30)]) == []
    assert wrong_notices([], said, 100.0, [Gap(60, 90)]) != []
    assert wrong_notices([], [], 100.0, [Gap(0, 30)]) == []


def test_rows_that_count_for_nothing_are_no_sign_of_life() -> None:
    judged = judge([*QUIET, *(row(float(at), late=at - 5) for at in range(10, 40)), row(40)], TERMS)
    assert gaps_of(judged, 0, 41) == ([Gap(9, 40)], [Gap(9, 40)])
