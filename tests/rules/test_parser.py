import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rules.expression import Condition
from bot.rules.parser import ConditionError, parse_condition, parse_duration
from tests.rules.build import conditions


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("rate>0.0005", "rate > 0.05%"),
        ("RATE > 0.05 %", "rate > 0.05%"),
        ("rate > 5bp", "rate > 0.05%"),
        ("rate>5BPS", "rate > 0.05%"),
        ("rate ≥ 5e-4", "rate >= 0.05%"),
        ("rate ≤ -.05%", "rate <= -0.05%"),
        ("rate < −0.05%", "rate < -0.05%"),
        ("rate > +0.05", "rate > 5%"),
        ("rate＞0.05％", "rate > 0.05%"),
        ("apr > 50%", "apr > 50%"),
        ("mark > 85k", "mark > 85000"),
        ("mark > 85000.50", "mark > 85000.5"),
        ("mark >= 1E5", "mark >= 100000"),
        ("|basis| > 0.5%", "|basis| > 0.5%"),
        ("abs(basis)>0.5%", "|basis| > 0.5%"),
        ("ABS( basis ) > 0.5%", "|basis| > 0.5%"),
        ("change(mark,1h)>5%", "change(mark, 1h) > 5%"),
        ("avg(rate, 90m) > 1bp", "avg(rate, 1h30m) > 0.01%"),
        ("max(mark, 24h) > 85k", "max(mark, 1d) > 85000"),
        ("change(funding, 1h) < -30m", "change(funding, 1h) < -30m"),
        ("funding<1h30m", "funding < 1h30m"),
        ("funding < 90 s", "funding < 1m30s"),
        ("funding < 0.5h", "funding < 30m"),
        ("interval < 8h", "interval < 8h"),
        ("interval < 48h", "interval < 2d"),
        ("mark crosses 85k", "mark crosses 85000"),
        ("mark CROSSES Above 85k", "mark crosses above 85000"),
        ("rate>1%and rate<2%", "rate > 1% and rate < 2%"),
        ("not not rate > 1%", "not not rate > 1%"),
        ("not (rate > 1%)", "not rate > 1%"),
        ("not(rate > 1% and mark > 1)", "not (rate > 1% and mark > 1)"),
        ("(rate > 1%) and (mark > 1 and index > 1)", "rate > 1% and mark > 1 and index > 1"),
        ("(rate > 1% or mark > 1) or index > 1", "rate > 1% or mark > 1 or index > 1"),
        ("rate > 1% or mark > 1 and index > 1", "rate > 1% or mark > 1 and index > 1"),
        ("(rate > 1% or mark > 1) and index > 1", "(rate > 1% or mark > 1) and index > 1"),
        ("mark crosses 1 or index crosses 1", "mark crosses 1 or index crosses 1"),
        ("cap > 90%", "cap > 90%"),
    ],
)
def test_a_condition_prints_in_one_canonical_way(text: str, canonical: str) -> None:
    condition = parse_condition(text)
    assert condition.text == canonical
    assert parse_condition(canonical) == condition


@given(conditions)
def test_canonical_text_reads_back_to_the_same_condition(condition: Condition) -> None:
    assert parse_condition(condition.text) == condition


def test_conditions_with_another_threshold_are_not_the_same() -> None:
    assert parse_condition("rate > 0.05%") != parse_condition("rate > 0.06%")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a field first, as in rate > 0.05%, found the end"),
        ("rate", 5, "expected a comparison (> >= < <= or crosses), found the end"),
        ("rate > ", 7, "expected a number, found the end"),
        ("rate above 5%", 6, "expected a comparison (> >= < <= or crosses), found 'above'"),
        ("rate cross 5%", 6, "did you mean crosses?"),
        ("rat > 1%", 1, "unknown field 'rat'; did you mean rate?"),
        ("rate > 1% adn mark > 1", 11, "did you mean and?"),
        ("qqq > 1%", 1, "unknown field 'qqq'; known: rate, rate8h, apr, basis, mark, index"),
        ("rate = 5%", 6, "write > or >=, < or <=, found '='"),
        ("rate == 5%", 6, "write > or >=, < or <=, found '=='"),
        ("rate => 5%", 6, "write > or >=, < or <=, found '=>'"),
        ("rate != 5%", 6, "write > or >=, < or <=, found '!='"),
        ("!rate > 5%", 1, "write not, found '!'"),
        ("rate > 1% && mark > 1", 11, "write and, found '&&'"),
        ("rate > 1% || mark > 1", 11, "write or, found '||'"),
        ("mark > 85,000", 10, "a number takes no comma; write 85000 or 85k"),
        ("mark > 85,250", 10, "a number takes no comma; write 85250"),
        ("mark > 1,085,000.5", 9, "a number takes no comma; write 1085000.5"),
        ("rate > 0,05%", 9, "a number takes no comma; write 0.05"),
        ("mark > 85 000", 8, "only a time is written in several parts"),
        ("rate > 0.5", 8, "0.5 = 50 %; write 0.5% or 50%"),
        ("rate > 0.050001", 8, "0.050001 = 5.0001 %; write 0.050001% or 5.0001%"),
        ("rate < -0.5", 8, "0.5 = 50 %; write 0.5% or 50%"),
        ("change(mark, 1h) > 1", 20, "1 = 100 %; write 1% or 100%"),
        ("funding < 5", 11, "a time needs a unit: write 5s, 5m, 5h or 5d"),
        ("funding < 5%", 12, "unknown unit '%' for a time"),
        ("rate > 5k", 9, "unknown unit 'k' for a ratio"),
        ("mark > 5%", 9, "unknown unit '%' for a price"),
        ("rate > 1% and (mark > 1", 24, "expected a closing bracket, found the end"),
        ("rate > 1%)", 10, "a closing bracket without an opening one"),
        ("|rate > 1%", 7, "expected a closing |"),
        ("|change(mark, 1h)| > 1%", 8, "expected a closing |"),
        ("change(mark) > 1%", 1, "change needs a window, as in change(mark, 1h)"),
        ("abs(mark, 1h) > 1", 1, "abs takes a field and no window"),
        ("median(mark, 1h) > 1", 1, "unknown function 'median'"),
        ("change(mark, 59s) > 1%", 14, "a window is 1m to 24h long, found 59s"),
        ("change(mark, 25h) > 1%", 14, "a window is 1m to 24h long, found 1d1h"),
        ("change(mark, 5) > 1%", 14, "a time needs a unit"),
        ("rate crosses over 5%", 14, "expected above, below or a number, found 'over'"),
        ("rate > basis", 8, "expected a number, found 'basis'"),
        ("5% < rate", 1, "expected a field first"),
        ("rate > 1% and not mark crosses 5", 19, "not over a crossing"),
        ("not (rate > 1% and mark crosses 5)", 20, "not over a crossing"),
        ("rate > 1% or mark crosses 5", 14, "or between a crossing and something else"),
        ("mark crosses 5 or (rate > 1%)", 1, "or between a crossing and something else"),
        ("rate > 1e99%", 8, "this number is too long or too large"),
        ("rate > 1e-99%", 8, "this number is too long or too large"),
        ("rate > " + "9" * 200 + "%", 8, "this number is too long or too large"),
    ],
)
def test_a_mistake_is_answered_with_its_place(text: str, column: int, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert message in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1_999,
        "(" * 999 + "rate > 1%" + ")" * 900,
        "not " * 499,
        "not " * 490 + "rate > 1%",
        ("not (" * 390) + "rate > 1%",
        "rate > 1% or " * 150,
        "rate>1%or " * 198 + "rate>1%",
        "1" * 2_000,
        "|" * 2_000,
        "rate > 1" + "e" * 1_900,
        "\x00",
        "\ud800 > 1",
        "rate > ٣%٪",
        "x" * 100_000,
    ],
)
def test_hostile_text_ends_in_an_error_in_time(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert time.process_time() - begun < 1
    assert 1 <= caught.value.column <= len(text) + 1


def test_brackets_that_say_nothing_may_be_many() -> None:
    assert parse_condition("(" * 500 + "rate > 1%" + ")" * 500).text == "rate > 1%"


_WORDS = ["rate", "mark", ">", "crosses", "not", "(", ")", "|", "1%", "5", "and", "or", "change(",
          ",", "1h", " ", "=", "９", "e", "-"]  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_WORDS)).map(" ".join)))
def test_any_text_is_a_condition_or_a_placed_error(text: str) -> None:
    problem, condition = None, None
    try:
        condition = parse_condition(text)
    except ConditionError as error:
        problem = error
    if condition is not None:
        assert parse_condition(condition.text) == condition
    if problem is not None:
        assert 1 <= problem.column <= len(text) + 1
        assert problem.message


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("30s", 30_000), ("1h30m", 5_400_000), ("1 H 30 M", 5_400_000), ("0s", 0), ("0.5s", 500)],
)
def test_durations_are_read_in_milliseconds(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["30", "", "-5s", "5x", "1e9d", "0.0001s", "5s 5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        parse_duration(text)
