"""When a second connection is opened, and when it may take over."""

from dataclasses import dataclass, field

import pytest

from bot.market.handover import COMPARED_FOR, GIVEN_UP_AFTER, Overlap, Pair, Turn
from bot.market.subscriptions import Subscriptions
from bot.market.tick import Tick
from tests.market.rows import tick

PLAN = ("a@markPrice@1s", "b@markPrice@1s")
ARRAY = ("!markPrice@arr@1s",)


def rows(text: str) -> list[Tick]:
    """`A1 B2`: symbol and event time."""
    return [tick(one[0], int(one[1:])) for one in text.split()]


@pytest.mark.parametrize(
    ("old", "new", "wanted", "missing"),
    [
        ("A1 B1", "A1 B1", None, ""),
        ("A1 B2", "A1 B1", None, ""),
        ("A1 B1", "A1", None, "B"),
        ("A1 B1", "A1", frozenset("a"), ""),
        ("A1 B1", "A1 B2", None, "B"),  # B2 of the old one may be on its way, or what was between
        ("A1 B1 B2", "A1 B2", None, ""),
        ("A2", "A1 A2", None, ""),
        ("A1", "A2 A1", None, "A"),  # what is out of order proves nothing
        ("", "C7", None, ""),
        ("A1", "", None, "A"),
    ],
)
def test_a_symbol_has_moved_when_no_row_can_lie_between(
    old: str, new: str, wanted: frozenset[str] | None, missing: str
) -> None:
    overlap = Overlap(0.0)
    overlap.on_old(rows(old), 1.0)
    overlap.on_new(rows(new), 1.0)
    assert overlap.missing(wanted, 1.0) == list(missing)


def test_the_new_connection_takes_over_when_both_were_compared_and_nothing_is_missing() -> None:
    overlap = Overlap(100.0)
    overlap.on_old(rows("A1 B1"), 100.5)
    assert not overlap.complete(None, 100.0 + COMPARED_FOR)  # it has no rows yet
    overlap.on_new(rows("A1"), 101.0)
    assert not overlap.complete(None, 100.0 + COMPARED_FOR)
    overlap.on_new(rows("B1"), 102.0)
    assert not overlap.complete(None, 100.0 + COMPARED_FOR - 0.1)
    assert overlap.complete(None, 100.0 + COMPARED_FOR)


def test_a_symbol_that_never_moves_holds_it_up_for_ten_seconds_of_rows_only() -> None:
    overlap = Overlap(0.0)
    overlap.on_new(rows("A1"), 20.0)
    for second in range(20, 31):
        overlap.on_old(rows(f"A{second} B{second}"), float(second))
        assert overlap.complete(None, float(second)) is (second >= 20.0 + GIVEN_UP_AFTER)


def test_a_symbol_that_the_old_one_no_longer_brings_is_not_waited_for() -> None:
    overlap = Overlap(0.0)
    overlap.on_old(rows("A1 B1"), 0.0)
    overlap.on_new(rows("A1"), 8.0)
    assert not overlap.complete(None, 10.0)
    assert overlap.complete(None, 10.1)


@dataclass(eq=False)
class Line:
    """A connection, as far as is looked at."""

    plan: tuple[str, ...] = PLAN
    started: float = 0.0
    leaving: bool = False
    is_over: bool = False
    carries: Subscriptions = field(init=False)

    def __post_init__(self) -> None:
        self.carries = Subscriptions(self.plan, 3, self.started)


def pair_of(current: Line, successor: Line | None = None) -> Pair[Line]:
    pair = Pair[Line](handover_after=100.0, compared_for=1.0)
    pair.add(current, 0.0)
    if successor is not None:
        pair.add(successor, 0.0)
    return pair


@pytest.mark.parametrize(
    ("line", "plan", "now", "wants"),
    [
        (Line(), PLAN, 99.9, False),
        (Line(), PLAN, 100.0, True),
        (Line(leaving=True), PLAN, 1.0, True),
        (Line(), ARRAY, 1.0, True),
        (Line(), (*PLAN, "c@markPrice@1s"), 1.0, False),
        (Line(), ("c@markPrice@1s", "d@markPrice@1s"), 1.0, True),
        (Line(is_over=True), PLAN, 1.0, True),
    ],
)
def test_a_connection_is_wanted_for_one_that_is_over_or_has_to_go(
    line: Line, plan: tuple[str, ...], now: float, wants: bool
) -> None:
    pair = pair_of(line)
    assert pair.look(plan, now) == Turn()
    assert pair.wants(plan, now) is wants
    assert not pair_of(line, Line()).wants(plan, now)  # one is on its way already


def test_nothing_is_open_at_the_start() -> None:
    assert Pair[Line](100.0, 1.0).wants(PLAN, 0.0)


def test_a_successor_takes_over_when_it_brings_what_the_old_one_brings() -> None:
    old, new = Line(leaving=True), Line()
    pair = pair_of(old, new)
    pair.rows(old, rows("A1 B1"), 0.5)
    pair.rows(new, rows("A1"), 0.5)
    pair.rows(Line(), rows("B1"), 0.5)  # one that closes already says nothing
    assert pair.look(PLAN, 1.5) == Turn()
    pair.rows(new, rows("B1"), 1.5)
    assert pair.look(PLAN, 1.5) == Turn(close=old, took_over=True, handed_over=True)
    assert (pair.current, pair.successor) == (new, None)
    assert pair.look(PLAN, 1.5) == Turn()


def test_only_what_both_carry_has_to_move() -> None:
    old, new = Line(leaving=True), Line(("a@markPrice@1s", "c@markPrice@1s"))
    pair = pair_of(old, new)
    pair.rows(old, rows("A1 B1 C1"), 0.5)
    pair.rows(new, rows("A1"), 0.5)
    assert pair.look(new.plan, 1.5).handed_over


@pytest.mark.parametrize(
    ("old", "new", "plan", "turn"),
    [
        (Line(is_over=True), Line(), PLAN, "takes over"),
        (Line(is_over=True), Line(is_over=True), PLAN, "is dropped"),
        (Line(leaving=True), Line(is_over=True), PLAN, "is dropped"),
        (Line(leaving=True), Line(), ARRAY, "is dropped"),  # the plan changed again
        (Line(), Line(ARRAY), PLAN, "is dropped"),  # and back
        (Line(), Line(), PLAN, "is dropped"),
        (Line(), Line(ARRAY), ARRAY, "goes on"),
    ],
)
def test_what_becomes_of_a_successor(
    old: Line, new: Line, plan: tuple[str, ...], turn: str
) -> None:
    pair = pair_of(old, new)
    expected: tuple[Turn[Line], Line | None, Line | None] = {
        "takes over": (Turn(took_over=True), new, None),
        "is dropped": (Turn(close=new), None if old.is_over else old, None),
        "goes on": (Turn(), old, new),
    }[turn]
    assert (pair.look(plan, 5.0), pair.current, pair.successor) == expected
