"""Thousands of random texts: always an answer, never an exception, never a change."""

import random
import string

import pytest

from bot.chat.registry import BUTTONS, COMMANDS
from bot.notify.markup import units
from tests.chat.world import FakeWorld
from tests.doubles.telegram_html import parse_html

_WORDS = [
    *(f"/{name}" for name in COMMANDS), *COMMANDS, "rate", "rate8h", "apr", "basis", "mark",
    "funding", "cap", ">", "<", ">=", "crosses", "above", "and", "or", "not", "(", ")", "|",
    "0.05%", "1e-4", "5bp", "15m", "85k", "for", "clear", "keep", "cooldown", "repeat", "once",
    "until", "2026-13-45", "note", '"', "“", "@majors", "!", "*", "ALL", "BTC", "BTCUSDT", ",",
    "币安人生", "#3", "3", "-", "+", "change(mark, 1h)", "/", "@other_bot", "<b>", "&amp;", "\n",
    "١٢", "²", "\u200b", "\U0001f911", "x" * 300,
]  # fmt: skip
_UNCHANGING = [name for name in COMMANDS if name not in ("mute", "unmute", "test", "watch")]


def _text(noise: random.Random) -> str:
    kind = noise.randrange(4)
    if kind == 0:
        return "".join(noise.choices(string.printable, k=noise.randrange(1, 60)))
    if kind == 1:
        return "".join(chr(noise.randrange(1, 0x3000)) for _ in range(noise.randrange(1, 30)))
    words = " ".join(noise.choices(_WORDS, k=noise.randrange(1, 9)))
    if kind == 2:
        return words
    return f"/{noise.choice(_UNCHANGING)} {words}"


@pytest.mark.parametrize("seed", range(3))
def test_random_texts_are_answered_and_change_nothing(seed: int) -> None:
    noise = random.Random(seed)
    world = FakeWorld()
    world.say("/watch ALL rate8h < 0")
    for _ in range(1_000):
        text = _text(noise)
        if text.lower().startswith(("/mute", "/unmute", "/test", "/watch", "/unwatch all")):
            text = "/help " + text
        answer = world.say(text)
        assert not answer.changes, text
        assert answer.replies or "@" in text, text
        for written in answer.replies:
            assert 0 < units(parse_html(written.text).text) <= 4096, text


@pytest.mark.parametrize("seed", range(2))
def test_random_watch_lines_are_taken_whole_or_refused(seed: int) -> None:
    noise = random.Random(seed)
    world = FakeWorld()
    for _ in range(700):
        text = f"/watch {' '.join(noise.choices(_WORDS, k=noise.randrange(1, 9)))}"
        before = list(world.held.get(7, []))
        answer = world.say(text)
        assert answer.replies, text
        assert world.held.get(7, []) == [*before, *answer.watches]
        for written in answer.replies:
            parse_html(written.text)


@pytest.mark.parametrize("seed", range(2))
def test_random_presses_never_raise(seed: int) -> None:
    noise = random.Random(seed)
    world = FakeWorld()
    for _ in range(500):
        name = noise.choice([*BUTTONS, "x", ""])
        data = f"{name}:{''.join(noise.choices(string.printable + '币²', k=noise.randrange(20)))}"
        answer = world.press(data)
        assert answer.replies or answer.toast
        assert len(answer.toast) <= 200
