"""Rules as plain data, and back; what differs between two lists of rules, and back."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rules.plain import (
    PlainRule,
    RulesChange,
    aliased,
    changed,
    difference,
    plain,
    rule_of,
)
from bot.rules.rule import Rule, Target
from tests.rules.build import rule
from tests.rules.test_watch_line import watch_lines

decode = msgspec.json.Decoder(PlainRule).decode


def alias(rule_id: str) -> str:
    return rule_id.replace("-100", "x")


rules = st.builds(
    lambda line, name, created: Rule(
        f"file:{name}", name, line.selection, line.condition, line.options, (Target(-100),), created
    ),
    watch_lines(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(0, 2**53),
)


@given(rules)
def test_a_rule_reads_back_as_it_decides(made: Rule) -> None:
    again = rule_of(decode(msgspec.json.encode(plain(made, alias))))
    assert again == replace(made, targets=(), options=replace(made.options, note=""))
    assert again.fingerprint == made.fingerprint


def test_plain_data_is_in_the_words_of_the_language_and_names_nobody() -> None:
    made = rule("hot", "BTC,!ETH", "rate>0.0005", targets=(Target(-100, 5),), created_at=7)
    made = replace(made, id="watch:-100:3", options=replace(made.options, hold=30_000, note="me"))
    assert msgspec.to_builtins(plain(made, alias)) == {
        "id": "watch:x:3",
        "name": "hot",
        "symbols": ["BTC", "!ETH"],
        "when": "rate > 0.05%",
        "options": ["for 30s"],
        "created_at": 7,
    }


@pytest.mark.parametrize(
    ("when", "options", "words"),
    [
        ("rat > 1%", [], "rule r: "),
        ("rate > 1%", ["for ever"], "rule r: for: "),
        ("rate > 1%", ["clear"], "rule r: clear: "),
        ("rate > 1%", ["sing loudly"], "rule r: sing: "),
    ],
)
def test_what_cannot_be_read_is_named(when: str, options: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rule_of(PlainRule("file:r", "r", ["BTC"], when, options))


books = st.lists(st.sampled_from([rule(name) for name in "abcdefgh"]), max_size=6, unique=True)


@given(books, books)
def test_a_difference_makes_the_new_list_of_the_old_one(old: list[Rule], new: list[Rule]) -> None:
    found = difference(old, new)
    change = RulesChange(at=found.at, drop=found.drop)
    assert changed(old, change, found.add) == tuple(new)
    assert len(found.add) <= len(new)
    if old == new:
        assert (found.drop, found.add) == (0, ())


def test_one_more_rule_is_one_rule_in_the_difference() -> None:
    old = [rule(name) for name in "abc"]
    assert difference(old, [*old, rule("d")]).add == (rule("d"),)
    assert difference(old, [old[0], old[2]]) == difference(old, [old[0], old[2]])
    assert difference(old, [old[0], old[2]]).add == ()


@pytest.mark.parametrize(("at", "drop"), [(4, 0), (2, 2), (4, None)])
def test_a_difference_of_other_rules_is_refused(at: int, drop: int | None) -> None:
    with pytest.raises(ValueError, match="rules that are not there"):
        changed([rule(name) for name in "abc"], RulesChange(at=at, drop=drop), [])


def test_all_that_follow_give_way() -> None:
    old = [rule(name) for name in "abc"]
    assert changed(old, RulesChange(at=1), [rule("d")]) == (old[0], rule("d"))


def test_both_sides_of_a_renaming_are_aliases() -> None:
    assert aliased({"watch:-100:1": "watch:-1001:1"}, alias) == {"watch:x:1": "watch:x1:1"}
