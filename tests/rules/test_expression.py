import itertools
from fractions import Fraction

import pytest

from bot.rules.expression import Sides, Truth, explain
from bot.rules.parser import parse_condition
from bot.rules.quantity import duration_text
from tests.rules.build import HOUR, NOW, reading, reading_after, tick

# A comparison of each truth at the usual reading: settle is unknown when T is over an hour away.
WRITTEN: dict[Truth, str] = {True: "mark > 1", False: "mark < 1", None: "settle > 1"}
FAR: dict[str, object] = {"next_funding_time": NOW + 3 * HOUR}
TRUTHS: tuple[Truth, ...] = (True, False, None)
PAIRS = list(itertools.product(TRUTHS, TRUTHS))


def truth(text: str, changes: dict[str, object]) -> Truth:
    return parse_condition(text).evaluate(reading(**changes))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_and_is_false_if_one_is_false_and_unknown_if_one_is_unknown(
    left: Truth, right: Truth
) -> None:
    expected = False if False in (left, right) else None if None in (left, right) else True
    assert truth(f"{WRITTEN[left]} and {WRITTEN[right]}", FAR) is expected


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_or_is_true_if_one_is_true_and_unknown_if_one_is_unknown(left: Truth, right: Truth) -> None:
    expected = True if True in (left, right) else None if None in (left, right) else False
    assert truth(f"{WRITTEN[left]} or {WRITTEN[right]}", FAR) is expected


@pytest.mark.parametrize(("operand", "expected"), [(True, False), (False, True), (None, None)])
def test_not_of_unknown_is_unknown(operand: Truth, expected: Truth) -> None:
    assert truth(f"not {WRITTEN[operand]}", FAR) is expected


@pytest.mark.parametrize(
    ("condition", "changes", "expected"),
    [
        ("rate > 0.05%", {"rate": "0.00050000"}, False),
        ("rate >= 0.05%", {"rate": "0.00050000"}, True),
        ("rate > 0.05%", {"rate": "0.00050001"}, True),
        ("apr > 10.95%", {"rate": "0.00010000"}, False),
        ("apr >= 10.95%", {"rate": "0.00010000"}, True),
        ("rate8h > 0.01%", {"rate": "0.00010000"}, False),
        ("rate8h > 0.08%", {"rate": "0.00010000", "interval_hours": 1}, False),
        ("rate8h >= 0.08%", {"rate": "0.00010000", "interval_hours": 1}, True),
        ("basis > 0.1%", {"mark": "28028", "index": "28000"}, False),
        ("basis >= 0.1%", {"mark": "28028", "index": "28000"}, True),
        ("basis < -0.1%", {"mark": "27972", "index": "28000"}, False),
        ("|basis| >= 0.1%", {"mark": "27972", "index": "28000"}, True),
        ("|rate| > 0.05%", {"rate": "-0.00050000"}, False),
        ("|rate| > 0.05%", {"rate": "-0.00050001"}, True),
        ("funding < 30m", {}, False),
        ("funding <= 30m", {}, True),
        ("interval >= 8h", {}, True),
        ("mark > 28000.5", {}, False),
        ("mark > 28000.4999999999999", {}, True),
    ],
)
def test_comparisons_are_decided_exactly(
    condition: str, changes: dict[str, object], expected: bool
) -> None:
    assert truth(condition, changes) is expected


@pytest.mark.parametrize(
    ("condition", "changes"),
    [
        ("rate > 0", {"rate": ""}),
        ("rate > 0", {"next_funding_time": 0}),
        ("funding < 1h", {"next_funding_time": 0}),
        ("mark > 0", {"mark": "0.0"}),
        ("basis > 0", {"index": ""}),
        ("settle > 0", {"next_funding_time": NOW + HOUR + 1}),
        ("settle > 0", {"settle": "0.00000000"}),
        ("cap > 1%", {}),
        ("change(mark, 1h) > 0", {}),
    ],
)
def test_a_comparison_with_an_unknown_is_unknown(
    condition: str, changes: dict[str, object]
) -> None:
    assert truth(condition, changes) is None


def crossings(condition: str, marks: list[str]) -> list[Truth]:
    """The truth at each of the marks in turn; an empty one is a gap."""
    parsed = parse_condition(condition)
    sides: Sides = ()
    found = []
    for mark in marks:
        result, sides = parsed.evaluate(reading(mark=mark), sides)
        found.append(result)
    return found


@pytest.mark.parametrize(
    ("direction", "marks", "expected"),
    [
        ("above", ["9", "11", "12", "9", "11"], [None, True, False, False, True]),
        ("below", ["11", "9", "8", "11", "9"], [None, True, False, False, True]),
        ("", ["9", "11", "9", "9"], [None, True, True, False]),
        ("above", ["10", "11"], [None, True]),
        ("above", ["9", "10", "11"], [None, False, True]),
        ("below", ["10", "9"], [None, True]),
        ("", ["11", "10", "11"], [None, False, True]),
        ("above", ["9", "", "", "11"], [None, None, None, True]),
        ("above", ["", "11", "9", "", "9"], [None, None, False, None, False]),
    ],
)
def test_a_crossing_compares_with_the_last_known_value(
    direction: str, marks: list[str], expected: list[Truth]
) -> None:
    assert crossings(f"mark crosses {direction} 10", marks) == expected


def test_in_an_and_every_crossing_sees_every_evaluation() -> None:
    # The first part is false at the second tick; the crossing must see that tick all the same.
    condition = parse_condition("rate > 1% and mark crosses above 10")
    sides: Sides = ()
    for rate, mark in (("0.02", "9"), ("0", "11"), ("0.02", "12")):
        result, sides = condition.evaluate(reading(rate=rate, mark=mark), sides)
    assert result is False


def test_two_crossings_keep_their_own_sides() -> None:
    condition = parse_condition("mark crosses above 10 and index crosses above 20")
    _, sides = condition.evaluate(reading(mark="9", index="21"))
    assert sides == (-1, 1)
    result, sides = condition.evaluate(reading(mark="11", index="22"), sides)
    assert (result, sides) == (False, (1, 1))


MINUTE = 60_000


@pytest.mark.parametrize(
    ("condition", "rows", "expected"),
    [
        ("change(mark, 1m) >= 10%", [(60_001, "100"), (0, "110")], True),
        ("change(mark, 1m) > 10%", [(60_000, "100"), (0, "110")], False),
        ("change(mark, 1m) > 0", [(59_999, "100"), (0, "110")], None),
        ("change(rate, 1m) >= 0.01%", [(60_000, "0.0001"), (0, "0.0002")], True),
        ("change(rate, 1m) > 0.01%", [(60_000, "0.0001"), (0, "0.0002")], False),
        ("change(mark, 1m) > 0", [(70_000, "100"), (60_000, ""), (0, "110")], True),
        ("change(mark, 1m) > 0", [(60_000, "100"), (0, "")], None),
        ("min(mark, 1m) < 100", [(60_001, "99"), (60_000, "100"), (0, "101")], False),
        ("min(mark, 1m) <= 100", [(60_001, "99"), (60_000, "100"), (0, "101")], True),
        ("max(mark, 1m) > 100", [(90_000, "200"), (30_000, "99"), (0, "100")], False),
        ("max(mark, 1m) >= 100", [(50_000, "200"), (0, "100")], None),
        ("avg(mark, 1m) > 100", [(60_000, "99"), (30_000, "99"), (0, "102")], False),
        ("avg(mark, 1m) >= 100", [(60_000, "99"), (30_000, "99"), (0, "102")], True),
        ("avg(rate, 1m) >= 0.01%", [(90_000, "0.5"), (0, "0.00010000")], True),
        # Above 10 m only the first tick of each UTC minute counts, and the present one once.
        (
            "max(mark, 11m) > 100",
            [(11 * MINUTE, "1"), (10 * MINUTE - 1, "100"), (10 * MINUTE - 2, "500"), (0, "3")],
            False,
        ),
        ("avg(mark, 11m) >= 3", [(11 * MINUTE, "1"), (MINUTE, "2"), (0, "6")], True),
        ("avg(mark, 11m) > 3", [(11 * MINUTE, "1"), (MINUTE, "2"), (0, "6")], False),
    ],
)
def test_windows_hold_what_was_known_between_their_ends(
    condition: str, rows: list[tuple[int, str]], expected: Truth
) -> None:
    term = parse_condition(condition).terms[0]
    found = parse_condition(condition).evaluate(reading_after(term.field, term.window, rows))[0]
    assert found is expected


def test_each_part_is_explained_with_its_value_and_truth() -> None:
    parts = explain(parse_condition("funding < 15m and rate > 0.005%"), reading())
    assert [(part.text, part.truth) for part in parts] == [
        ("funding < 15m", False),
        ("rate > 0.005%", True),
    ]
    assert parts[1].value is not None
    assert parts[1].value.exact == Fraction(1, 10_000)


def test_fields_are_named_once_in_the_order_of_the_text() -> None:
    condition = parse_condition("mark > 1 and (rate > 1% or mark < 9)")
    assert condition.fields == ("mark", "rate")
    assert not condition.is_instant
    assert not condition.mentions_funding
    assert tick().symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0s"), (1, "0.001s"), (90_061_500, "1d1h1m1.5s"), (-600_000, "-10m")],
)
def test_durations_print_their_parts(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text
