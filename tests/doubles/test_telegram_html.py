"""The double reads markup and text as tdlib does: MessageEntity.cpp, misc.cpp."""

import pytest

from tests.doubles.telegram_html import EntityError, parse_html, utf16_length
from tests.doubles.telegram_text import clean, is_empty, parsed_text, sendable
from tests.doubles.telegram_values import RefusedError


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<b>x</b y>", "Unclosed end tag at byte offset 4"),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("币<x>", 'Unsupported start tag "x" at byte offset 3'),
        ("1 < 2 >", 'Unsupported start tag "" at byte offset 2'),
        ("<", "Unclosed start tag at byte offset 0"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<!-- x -->", 'Unsupported start tag "!--" at byte offset 0'),
        ("<br/>", 'Unsupported start tag "br/" at byte offset 0'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ('<span class="x">x</span>', 'Tag "span" must have class "tg-spoiler"'),
        ("<b x>y</b>", "Expected equal sign in declaration of an attribute"),
        ("<b =x>y</b>", 'Empty attribute name in the tag "b" at byte offset 0'),
        ("<a href=a_b>y</a>", "Unexpected end of name token at byte offset 8"),
        ('<a href="x>y</a>', "Unclosed start tag at byte offset 0"),
        ("<a href=", 'Unclosed start tag "a" at byte offset 0'),
        ("<tg-emoji>x</tg-emoji>", "Invalid custom emoji identifier specified"),
        ("&#xD83D;", "Text contains invalid Unicode characters after decoding HTML entities"),
    ],
)
def test_markup_that_is_refused(raw: str, words: str) -> None:
    with pytest.raises(EntityError) as caught:
        parse_html(raw)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "text", "entities"),
    [
        ("<b>a<i>b</i></b>", "ab", [("bold", 0, 2, ""), ("italic", 1, 1, "")]),
        ("<B>a</B >", "a", [("bold", 0, 1, "")]),
        ("<b>a</>", "a", [("bold", 0, 1, "")]),
        ("<strong>a</strong>", "a", [("bold", 0, 1, "")]),
        ("<em>a</em><ins>b</ins>", "ab", [("italic", 0, 1, ""), ("underline", 1, 1, "")]),
        ("<strike>a</strike>", "a", [("strikethrough", 0, 1, "")]),
        ("<tg-spoiler>a</tg-spoiler>", "a", [("spoiler", 0, 1, "")]),
        ('<span class="tg-spoiler">a</span>', "a", [("spoiler", 0, 1, "spoiler")]),
        ("<blockquote>a</blockquote>", "a", [("blockquote", 0, 1, "")]),
        ("<blockquote expandable>a</blockquote>", "a", [("expandable_blockquote", 0, 1, "1")]),
        ('<tg-emoji emoji-id="5">a</tg-emoji>', "a", [("custom_emoji", 0, 1, "5")]),
        ('<a href="http://x/?a=1&amp;b">l</a>', "l", [("text_link", 0, 1, "http://x/?a=1&b")]),
        ("<a href='x.y'>l</a>", "l", [("text_link", 0, 1, "x.y")]),
        ("<a>x.y</a>", "x.y", [("text_link", 0, 3, "x.y")]),
        ('<pre><code class="language-c">a</code></pre>', "a", [("pre", 0, 1, "c")]),
        ("<pre>\n x\n</pre>", "\n x\n", [("pre", 0, 4, "")]),
        ("<pre>a<b>b</b></pre>", "ab", [("pre", 0, 2, "")]),
        ("🚀<b>a</b>", "🚀a", [("bold", 2, 1, "")]),
        ("<b></b>x", "x", []),
    ],
)
def test_markup_that_is_taken(raw: str, text: str, entities: list[object]) -> None:
    parsed = parse_html(raw)
    found = [(one.kind, one.offset, one.length, one.value) for one in parsed.entities]
    assert (parsed.text, found) == (text, entities)


def test_no_more_than_a_hundred_entities_are_shown() -> None:
    assert len(parse_html("<b>x</b>y" * 150).entities) == 100


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("&lt;&gt;&amp;&quot;", '<>&"'),
        ("&lt&gt x", "<> x"),
        ("&#128640;&#x1F680;&#65", "🚀🚀A"),
        ("&nbsp;&apos;&LT;&ltx;& &", "&nbsp;&apos;&LT;&ltx;& &"),
        ("&#0;&#x110000;&#;&#00000065;", "&#0;&#x110000;&#;&#00000065;"),
        ("&amp;lt;", "&lt;"),
        ("a > b", "a > b"),
    ],
)
def test_numbers_and_four_names_are_entities(raw: str, text: str) -> None:
    assert parse_html(raw).text == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\x00c\x1fd\ne", "a b c d\ne"),
        ("a\r\nb", "a\nb"),
        ("a\u202eb\u2028c\u030ad", "abcd"),
        ("a\u200e\u200f\u200eb", "a\u200c\u200c\u200eb"),
    ],
)
def test_some_characters_become_spaces_and_some_vanish(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        (" \n", True),
        ("\u200b\ufeff\u00a0\u2800\u3000", True),
        ("\U000e0020", True),
        ("x", False),
        ("\u2063", False),
        ("🚀", False),
    ],
)
def test_some_characters_nobody_sees(text: str, empty: bool) -> None:
    assert is_empty(text) is empty


@pytest.mark.parametrize(
    ("raw", "text", "offset"),
    [
        ("  \n x <b>y</b> \n", "x y", 2),
        ("<b> \n y</b>  ", " \n y", 0),
        ("\r\u202e\n<b>\ry</b>", "y", 0),
    ],
)
def test_blanks_around_a_text_go_and_entities_stay_in_place(
    raw: str, text: str, offset: int
) -> None:
    shown = sendable(parse_html(raw))
    assert (shown.text, shown.entities[0].offset) == (text, offset)
    assert shown.entities[0].offset + shown.entities[0].length == utf16_length(shown.text)


@pytest.mark.parametrize("mode", ["HTML", ""])
def test_half_characters_are_refused(mode: str) -> None:
    with pytest.raises(RefusedError, match="must be encoded in UTF-8"):
        sendable(parsed_text({"text": "a\ud800", "parse_mode": mode}))
