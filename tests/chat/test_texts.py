"""The chat's texts: every one translated, with the same placeholders."""

import string
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

import bot.chat
from bot.chat.registry import COMMANDS, menus

CHAT = Path(bot.chat.__file__).parent
PO = CHAT.parent / "locale" / "zh" / "chat.po"


def _used() -> list[str]:
    texts: dict[str, None] = {}
    for path in sorted(CHAT.rglob("*.py")):
        with path.open("rb") as file:
            found = extract("python", file, keywords={"_": None})
            texts |= {str(text): None for _line, text, _comments, _context in found}
    return list(texts)


def _chinese() -> dict[str, str]:
    with PO.open("rb") as file:
        catalog = read_po(file, locale="zh")
    return {str(message.id): str(message.string) for message in catalog if message.id}


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


USED, CHINESE = _used(), _chinese()


def test_texts_are_found() -> None:
    assert len(USED) > 100


@pytest.mark.parametrize("text", USED)
def test_every_text_is_translated_with_its_placeholders(text: str) -> None:
    assert CHINESE.get(text)
    assert _fields(CHINESE[text]) == _fields(text)


def test_nothing_is_translated_that_is_not_said() -> None:
    assert set(CHINESE) - set(USED) == set()


def test_the_menu_is_complete_in_both_languages_and_fits_telegram() -> None:
    every = menus()
    assert set(every) == {"", "zh"}
    for entries in every.values():
        assert [name for name, _ in entries] == list(COMMANDS)
        assert all(1 <= len(text) <= 256 for _, text in entries)
    assert not {text for _, text in every[""]} & {text for _, text in every["zh"]}
