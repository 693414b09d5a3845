from dataclasses import replace

from bot.rules.book import Book, created_key, diff, with_created
from bot.rules.parser import parse_condition
from bot.rules.rule import Options, Rule, Target
from tests.rules.build import rule


def watch(number: int, when: str = "rate > 0.05%") -> Rule:
    return replace(rule(when=when), id=f"watch:7:{number}", name=f"#{number}")


def test_file_rules_come_first_then_watches_as_they_were_made() -> None:
    book = Book.of([rule("a"), rule("b")], [watch(1)]).with_watch(watch(2))
    assert [rule.id for rule in book.rules] == ["file:a", "file:b", "watch:7:1", "watch:7:2"]
    assert book.rule("watch:7:2") == watch(2)
    assert book.rule("file:c") is None


def test_a_book_is_never_changed_in_place() -> None:
    book = Book.of([rule("a")], [watch(1)])
    other = book.with_watch(watch(2)).without_watch("watch:7:1").with_file_rules([rule("b")])
    assert [rule.id for rule in book.rules] == ["file:a", "watch:7:1"]
    assert [rule.id for rule in other.rules] == ["file:b", "watch:7:2"]


def test_a_watch_of_the_same_id_is_replaced_in_its_place() -> None:
    book = Book.of([], [watch(1), watch(2)]).with_watch(watch(1, "rate > 1%"))
    assert [rule.condition.text for rule in book.rules] == ["rate > 1%", "rate > 0.05%"]


def test_a_reload_is_told_as_what_came_went_and_changed() -> None:
    note = rule("note", options=Options(note="x"))
    old = [rule("gone"), rule("kept"), rule("note"), rule("edited")]
    new = [rule("new1"), note, rule("kept", created_at=5), rule("edited", when="rate > 1%"),
           rule("new2")]  # fmt: skip
    found = diff(old, new)
    assert str(found) == "+2 −1 ~2"
    assert [rule.name for rule in found.added] == ["new1", "new2"]
    assert [rule.name for rule in found.removed] == ["gone"]
    assert [(pair.new.name, pair.decides) for pair in found.changed] == [
        ("note", False), ("edited", True),
    ]  # fmt: skip
    assert [rule.name for rule in found.kept] == ["kept"]


def test_the_same_text_read_again_is_no_change() -> None:
    clear = Options(clear=parse_condition("not rate > 0.03%"))
    parse_condition.cache_clear()
    again = Options(clear=parse_condition("not rate > 0.03%"))
    found = diff([rule(options=clear)], [rule(options=again)])
    assert str(found) == "+0 −0 ~0"


def test_a_target_or_a_symbol_is_a_change_that_decides_nothing() -> None:
    found = diff([rule("a"), rule("b")], [rule("a", targets=(Target(5),)), rule("b", "ETHUSDT")])
    assert [pair.decides for pair in found.changed] == [False, False]


def test_a_rule_keeps_the_time_of_its_first_appearance() -> None:
    first = with_created([rule("a"), rule("b")], {}, 100)
    known = {created_key(rule): rule.created_at for rule in first}
    later = with_created([rule("b", when="rate > 1%"), rule("a"), rule("c")], known, 200)
    assert [(rule.name, rule.created_at) for rule in later] == [("b", 200), ("a", 100), ("c", 200)]
