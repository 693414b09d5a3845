"""Numbers are what the venue's texts state, compared exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.number import Value, compare, parse_number


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("0.00010000", Fraction(1, 10_000)),
        ("-0.5", Fraction(-1, 2)),
        ("7", Fraction(7)),
        ("007", Fraction(7)),
        ("1e-4", Fraction(1, 10_000)),
        ("1.5E+2", Fraction(150)),
        ("-0", Fraction(0)),
    ],
)
def test_a_number_is_exact(text: str, exact: Fraction) -> None:
    value = parse_number(text)
    assert value is not None
    assert value.exact == exact
    assert value.approx == float(exact)


@pytest.mark.parametrize(
    "text",
    ["", " ", "+1", ".5", "1.", "1,5", "1 ", " 1", "1\n", "nan", "inf", "0x1", "1_000", "１",
     "1e", "--1", "null", "9" * 200, "1e999"],
)  # fmt: skip
def test_what_is_no_number_is_missing(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [
        ("0.00050000", "0.0005", 0),
        ("0.00050001", "0.0005", 1),
        ("0.0005", "0.00050000000000000000001", -1),
        ("100000000000000000001", "100000000000000000000", 1),
        ("-1", "1", -1),
    ],
)
def test_comparison_is_exact_where_floats_are_not(left: str, right: str, sign: int) -> None:
    one, other = parse_number(left), parse_number(right)
    assert one is not None
    assert other is not None
    assert compare(one, other) == sign
    assert compare(other, one) == -sign


@given(st.fractions(), st.fractions())
def test_comparison_agrees_with_fractions(left: Fraction, right: Fraction) -> None:
    expected = (left > right) - (left < right)
    assert compare(Value.of(left), Value.of(right)) == expected
