import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.notify.markup import (
    MAX_BYTES,
    MAX_UNITS,
    escape,
    is_blank,
    plain_text,
    split_html,
    units,
    with_mark,
)
from tests.doubles.telegram_html import parse_html, utf16_length

SAMPLES = st.sampled_from(
    [
        "🚀",
        "👨‍👩‍👧‍👦",
        "مرحبا",
        "שלום",
        "币安人生",
        "<b>",
        "</pre>",
        "&amp;",
        "&",
        "<",
        "\n",
        " ",
        "a" * 50,
        "́",
    ]
)


def visible(text: str) -> str:
    return "".join(text.split())


def check(markup: str) -> list[str]:
    parts = split_html(markup)
    for part in parts:
        assert utf16_length(parse_html(part).text) <= MAX_UNITS
        assert len(part.encode()) <= MAX_BYTES
    whole = "".join(parse_html(part).text for part in parts)
    assert visible(whole) == visible(parse_html(markup).text)
    return parts


@settings(max_examples=100, deadline=None)
@given(st.lists(SAMPLES | st.text(max_size=30), max_size=12), st.integers(1, 100))
def test_every_part_fits_and_parses_and_nothing_is_dropped(pieces: list[str], times: int) -> None:
    note = escape("".join(pieces)) * times
    check(f"🔔 <b>BTC</b>\n<pre>{note}</pre>\n<i>{note[:100].rpartition('&')[0]}</i>{note}")


def test_a_huge_note_is_cut_into_messages() -> None:
    note = escape("<long> 🚀 note & more. " * 15_000)
    assert len(check(f"<b>X</b>\n📝 {note}")) > 80


def test_it_cuts_at_the_end_of_a_line() -> None:
    lines = [f"line {n} " + "x" * 50 for n in range(200)]
    parts = split_html("<pre>" + "\n".join(lines) + "</pre>")
    shown = [line for part in parts for line in parse_html(part).text.splitlines()]
    assert shown == lines
    assert all(part.startswith("<pre>") and part.endswith("</pre>") for part in parts)


def test_nested_tags_are_closed_in_order_and_opened_again() -> None:
    parts = split_html("<b>bold <i>both " + "x " * 4096 + "</i></b>")
    assert parts[0].endswith("</i></b>")
    assert parts[1].startswith("<b><i>")


def test_a_text_of_escapes_keeps_to_the_raw_limit() -> None:
    assert len(check("&amp;" * 4096 * 3)) == 3
    assert len(check(f"<b>{'&lt;' * 4096}</b>")) == 1


def test_what_fits_is_left_as_it_is() -> None:
    assert split_html("a <b>b</b>\n") == ["a <b>b</b>\n"]


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("abc", 3), ("币安", 2), ("🚀", 2), ("👨‍👩‍👧", 8)]
)
def test_length_counts_utf16_units(text: str, length: int) -> None:
    assert units(text) == length == utf16_length(text)


@given(st.text())
def test_escaped_text_reads_back_as_the_server_shows_it(text: str) -> None:
    lines = re.split("\r\n|[\n\r\u2028\u2029]", text)
    shown = "\n".join(re.sub("[\x00-\x1f]", " ", line) for line in lines)
    assert plain_text(escape(text)) == shown
    assert parse_html(escape(text)).text == plain_text(escape(text))


def test_a_lone_surrogate_becomes_something_that_can_be_sent() -> None:
    assert escape("a\ud800b").encode() == b"a?b"


@pytest.mark.parametrize(
    "letter",
    ["👨‍👩‍👧‍👦", "é", "🇩🇪", "👍🏽", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "षि", "1️⃣", "&amp;́"],
)
def test_a_letter_and_its_marks_stay_together(letter: str) -> None:
    for shift in range(len(letter) + 1):
        markup = "x" * shift + letter * 3000
        parts = split_html(markup)
        assert "".join(parts) == markup
        for part in parts[:-1]:
            rest = part.removeprefix("x" * shift) if part is parts[0] else part
            assert rest == letter * (len(rest) // len(letter))


def test_a_letter_longer_than_a_message_is_cut_all_the_same() -> None:
    markup = "e" + "\u0301" * 10_000
    assert "".join(split_html(markup)) == markup


@pytest.mark.parametrize("unseen", ["\u200b", "\u2800", "\ufeff", " \n", "\u3000", "\u2063"])
def test_a_part_in_which_nothing_can_be_seen_is_left_out(unseen: str) -> None:
    parts = split_html("a" + unseen * 20_000 + "b")
    assert all(not is_blank(plain_text(part)) for part in parts)
    assert (parts[0][0], parts[-1][-1]) == ("a", "b")


def test_a_cut_is_in_no_tag_and_no_entity() -> None:
    link = '<a href="https://x.example/?a=1&amp;b=2 c">&lt;🚀&gt;</a> '
    for size in range(40, 90):
        for part in split_html(link * 3, max_units=4, max_bytes=size):
            assert re.fullmatch(r"(?:[^<>&]|&amp;|&lt;|&gt;|</?a[^<>]*>)*", part), part
            parse_html(part)


@pytest.mark.parametrize("note", ["&" * 60_000, "🚀" * 50_000, "<b>" * 30_000, "\u0301" * 100_000])
def test_a_huge_note_takes_time_in_proportion(note: str) -> None:
    began = time.process_time()
    check(f"<b>X</b>\n{escape(note)}")
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("<b>x</b>", "<b>x</b>\n— over"),
        ("x" * 4_089, "x" * 4_089 + "\n— over"),
        ("x" * 4_090, "— over\n" + "x" * 4_090),
        ("<b>" + "word " * 2_000 + "</b>", "— over\n<b>" + "word " * 2_000 + "</b>"),
    ],
    ids=["short", "just fits", "one too many", "several messages"],
)
def test_a_mark_stands_where_the_message_that_is_replaced_shows_it(text: str, marked: str) -> None:
    assert with_mark(text, "— over") == marked
