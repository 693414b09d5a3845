from functools import lru_cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract_from_dir

import bot
from bot.locale import languages, translator

KEYWORDS = {"_": None, "translate": None}


@lru_cache(maxsize=1)
def texts() -> list[tuple[str, int, str]]:
    """Each text that the program has translated, with its place."""
    found = extract_from_dir(Path(bot.__file__).parent, keywords=KEYWORDS)
    return [(file, line, text) for file, line, text, *_ in found if isinstance(text, str)]


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_there_are_texts_and_chinese() -> None:
    assert len(texts()) > 30
    assert languages() == ["en", "zh"]


def test_every_text_has_its_chinese_with_the_same_placeholders() -> None:
    chinese = translator("zh")
    wrong = [
        f"bot/{file}:{line}: {text!r}"
        for file, line, text in texts()
        if chinese(text) == text or placeholders(chinese(text)) != placeholders(text)
    ]
    assert not wrong, "no Chinese, or with other placeholders:\n" + "\n".join(wrong)


def test_no_text_has_a_placeholder_without_a_name() -> None:
    assert not [text for _, _, text in texts() if "" in placeholders(text)]


@pytest.mark.parametrize("language", ["zh", "zh-hans", "zh_CN", "ZH"])
def test_every_way_to_name_chinese_is_understood(language: str) -> None:
    assert translator(language)("Why") == "原因"


@pytest.mark.parametrize("language", ["en", "", "de", "../zh", "xx-yy"])
def test_other_languages_read_english(language: str) -> None:
    assert translator(language)("Why") == "Why"


def test_an_unknown_text_stays_as_it_is() -> None:
    assert translator("zh")("nobody translated this") == "nobody translated this"
