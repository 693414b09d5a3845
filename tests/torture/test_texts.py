"""Random texts through the real writers: every part of every message is one that Telegram takes.

What a message shows is compared with what its parts show, letter by letter. Two things may be
missing between two parts, and nothing else: blanks (spaces, newlines), which the server trims from
the ends of a message anyway, and characters that nobody can see where a whole part held no others.
"""

import random
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import pytest

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.app import texts
from bot.app.texts import StillOn
from bot.locale import translator
from bot.notify.batch import written_of
from bot.notify.burial import missed
from bot.notify.channel import Written
from bot.notify.item import Item, Reader
from bot.notify.markup import MAX_BYTES, MAX_UNITS, escape, split_html
from bot.notify.message import plain, write
from bot.notify.payload import outbox_row_for, reply_row
from bot.notify.table import write_more
from bot.rules.rule import Severity, Target
from bot.store.records import OutboxRow
from tests.doubles.telegram_html import parse_html, utf16_length
from tests.doubles.telegram_rules import check_buttons
from tests.doubles.telegram_text import clean, parsed_text, sendable
from tests.notify.events import AT, event

SHORT, LONG = 1_000, 100_000
HUGE = 1_000_000  # bytes of a note
LIMIT = 20.0  # s of CPU time for one text, the test's own reading included
UNSEEN = re.compile(
    "[ \n\u00a0\u1680\u180e\u2000-\u200f\u202e\u202f\u205f\u2800\u3000\ufeff\ufffc"
    "\U000e0000-\U000e007f]+"
)
READERS = (Reader(), Reader("zh-hans", "Asia/Shanghai"))

PIECES: Sequence[Sequence[str]] = (
    ("🚀", "😀", "🀄", "𝔘", "👍🏽", "❤️", "1️⃣"),
    ("👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇨🇳", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇦", "\u200d"),
    ("مرحبا", "שלום", "\u202eabc\u202c", "\u200f", "\u200e\u200f", "اَلْعَرَبِيَّةُ"),
    ("e\u0301", "\u0301", "a" + "\u0323\u0307" * 9, "नमस्ते", "ก็", "각", "\u030a"),
    ("\x00", "\x01", "\t", "\r\n", "\r", "\x1b[0m", "\x7f", "\u2028", "\u0085", "\ud83d", "\udc00"),
    ("<b>", "</b>", "<", ">", "<a href=", "</pre>", "<!--", "<br/>", "<script>", "<b", "</"),
    ("&", "&amp;", "&lt", "&#60;", "&#x110000;", "&nbsp;", "&quot;", "&;", "&&&&"),
    ("BTCUSDT", "币安人生", "rate > 0.05%", "https://example.org/?a=1&b=2", "@desk", "#tag"),
    (" ", "  ", "\n", "\n\n", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2800"),
    (
        "x" * 40,
        "W" * 4_100,
        "🚀" * 2_100,
        "é" * 5_000,
        "&" * 700,
        "<" * 700,
        " " * 4_200,
        "\n" * 90,
    ),
)
WEIGHTS = (40, 30, 30, 30, 30, 40, 40, 60, 80, 3)


class Anything:
    """Draws texts; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def text(self, most: int) -> str:
        """A few pieces, or so many of them at most."""
        count = self.dice.choice((0, 1, 2, 4, 8, most))
        pools = self.dice.choices(PIECES, WEIGHTS, k=count)
        return "".join(self.dice.choice(pool) for pool in pools)

    def note(self) -> str:
        size = self.dice.random()
        if size < 0.98:
            return self.text(20)[:8_000]
        return (self.text(60) or "x") * self.dice.randint(2, 30)

    def huge(self) -> str:
        text = self.text(60) or "x"
        return text * (HUGE // max(len(text.encode("utf-8", "replace")), 1))

    def event(self, note: str) -> Event:
        return event(
            self.dice.choice(("BTCUSDT", "1000PEPEUSDT", "币安人生USDT", "ETHUSDT_261225")),
            rule=self.text(6)[:200],
            condition=self.text(8),
            note=note,
            kind=self.dice.choice(tuple(Kind)),
            severity=self.dice.choice(tuple(Severity)),
            headline=self.dice.choice(("rate", "|basis|", "funding", "change(mark, 1h)")),
        )

    def markup(self) -> str:
        """HTML as our own texts have it: tags in order, everything else escaped."""
        pieces: list[str] = []
        for _ in range(self.dice.randint(1, 8)):
            inner = escape(self.text(12)) * (30 if self.dice.random() < 0.02 else 1)
            for _ in range(self.dice.randint(0, 3)):
                tag = self.dice.choice(
                    ("b", "i", "code", "pre", "u", 'a href="https://x.y/?a&amp;b"')
                )
                inner = f"<{tag}>{inner}</{tag.partition(' ')[0]}>"
            pieces.append(inner)
        if self.dice.random() < 0.02:  # more bytes than letters
            pieces += ['<a href="https://example.org/?a&amp;b">' + "<b>🚀</b></a>"] * 900
        return "".join(pieces) + "."


class Message(NamedTuple):
    """One message: as it was written, as it goes out, and what must be readable in it."""

    whole: str
    parts: list[Written]
    needed: list[str]


def alerts(dice: Anything, reader: Reader, notes: Sequence[str]) -> Message:
    events = [dice.event(note) for note in notes]
    whole = write([Item(0, one, 1_999_000) for one in map(stored, events)], reader)
    parts = written_of([row_of(one) for one in events], reader, 2_000_000)
    needed = [text for one in events for text in (one.note, one.rule, one.condition)]
    return Message(whole.text, parts, needed)


def table(dice: Anything, reader: Reader, more: bool) -> Message:
    items = [Item(number, dice.event("")) for number in range(dice.dice.choice((4, 5, 21, 130)))]
    written = write_more(items, items[0].row_id, reader) if more else write(items, reader)
    return Message(written.text, [written], [])


def answer(dice: Anything, reader: Reader, doubtful: bool) -> Message:
    markup = dice.markup()
    row = reply_row(1, Target(7, None), Written(markup), 2_000_000)
    row = msgspec.structs.replace(row, doubtful=doubtful)
    return Message(markup, written_of([row], reader, 2_000_000), [parse_html(markup).text])


def plainly(dice: Anything, reader: Reader) -> Message:
    message = alerts(dice, reader, [dice.note()])
    return message._replace(parts=[plain(part) for part in message.parts])


def own_words(dice: Anything, reader: Reader) -> Message:
    """What the program itself says, with names and reasons from anywhere."""
    translate = translator(reader.language)
    names = [dice.text(8) for _ in range(dice.dice.randint(1, 30))]
    on = [StillOn(name, "BTCUSDT", AT) for name in names]
    rows = [row_of(dice.event("")) for _ in range(dice.dice.randint(1, 20))]
    said = dice.dice.choice(
        (
            texts.database_fault(names[0], translate),
            texts.rules_refused(names, translate),
            texts.unknown_symbols(names, translate),
            texts.rules_gone(names[0], translate),
            texts.plain_fault(names[0], translate),
            texts.still_on(on, AT, translate),
            texts.ended(names, names, translate, alone=False),
            missed(rows, lambda *_: True, reader).text,
        )
    )
    row = reply_row(1, Target(7, None), Written(said), 1_000)
    return Message(said, written_of([row], reader, 1_000), [])


WRITERS: Sequence[Callable[[Anything, Reader], Message]] = (
    lambda dice, reader: alerts(dice, reader, [dice.note()]),
    lambda dice, reader: alerts(dice, reader, [dice.note() for _ in range(3)]),
    lambda dice, reader: table(dice, reader, more=False),
    lambda dice, reader: table(dice, reader, more=True),
    lambda dice, reader: answer(dice, reader, doubtful=False),
    lambda dice, reader: answer(dice, reader, doubtful=True),
    plainly,
    own_words,
)


def stored(made: Event) -> Event:
    """As a store can hold it: half characters are taken out where texts come in."""
    whole = {
        name: getattr(made, name).encode("utf-8", "replace").decode()
        for name in ("note", "rule", "condition")
    }
    return msgspec.structs.replace(made, **whole)


def row_of(made: Event) -> OutboxRow:
    return outbox_row_for(stored(made), Target(7, None), 1_000)


def judge(message: Message) -> str:
    """What Telegram shows of a message; fails where it would refuse or lose some of it."""
    shown = []
    whole = parse_html(message.whole).text
    for part in message.parts:
        assert len(part.text.encode()) <= MAX_BYTES
        parsed = parsed_text({"text": part.text, "parse_mode": "" if part.plain else "HTML"})
        assert utf16_length(parsed.text) <= MAX_UNITS
        assert sendable(parsed).text
        check_buttons(
            [[{"text": one.text, "callback_data": one.data} for one in row] for row in part.buttons]
        )
        shown.append(parsed.text)
    cut = [parse_html(part).text for part in split_html(message.whole)]
    follows(whole, cut)
    everything = squeeze("".join(shown))
    assert squeeze(whole) in everything
    for text in message.needed:
        assert squeeze(parse_html(escape(text)).text) in everything, text[:80]
    return everything


def follows(whole: str, parts: Sequence[str]) -> None:
    """Every part stands in the whole, in order, with nothing to see between them."""
    at = 0
    for part in parts:
        if not whole.startswith(part, at):
            skipped = whole.find(part, at)
            assert skipped >= 0, (part[:50], whole[at : at + 50])
            assert not squeeze(whole[at:skipped]), (whole[at:skipped], part[:50])
            at = skipped
        elif at:
            assert not is_cut_off(whole, at), (whole[at - 9 : at + 9], at)
        at += len(part)
    assert not squeeze(whole[at:]), whole[at : at + 50]


def is_cut_off(whole: str, at: int) -> bool:
    """Whether a mark stands apart from a letter that it could have gone with."""
    run = at
    while run and is_mark(whole[run - 1]):
        run -= 1
    return is_mark(whole[at]) and whole[run - 1] not in " \n" and at - run < 200


def is_mark(letter: str) -> bool:
    return letter == "\u200d" or unicodedata.category(letter)[0] == "M"


def squeeze(text: str) -> str:
    """Without what may be missing between two parts."""
    return UNSEEN.sub("", clean(text))


def run(seed: int, count: int, huge: int) -> str:
    """Judges so many messages, some with a huge note; the summary."""
    counted: Counter[str] = Counter()
    slowest = 0.0
    for number in range(count):
        dice = Anything(seed * 1_000_003 + number)
        reader = READERS[number % 2]
        began = time.process_time()
        if number < huge:
            message = alerts(dice, reader, [dice.huge()])
        else:
            message = WRITERS[number % len(WRITERS)](dice, reader)
        counted["letters"] += len(judge(message))
        slowest = max(slowest, time.process_time() - began)
        counted["parts"] += len(message.parts)
        counted["several"] += len(message.parts) > 1
    assert slowest < LIMIT
    return (
        f"texts: {count} messages ({huge} with a note of 1 MB) in {counted['parts']} parts, "
        f"{counted['several']} of several, {counted['letters']} letters: each part parses, none "
        f"above {MAX_UNITS} units or {MAX_BYTES} bytes, none empty, nothing dropped; the slowest "
        f"took {slowest:.1f} s"
    )


def test_every_text_arrives_whole(record_property: Callable[[str, object], None]) -> None:
    record_property("summary", run(seed=1, count=SHORT, huge=2))


@pytest.mark.torture
@pytest.mark.timeout(3_600)
def test_a_hundred_thousand_texts_arrive_whole(
    record_property: Callable[[str, object], None],
) -> None:
    record_property("summary", run(seed=random.randrange(1_000_000), count=LONG, huge=50))
