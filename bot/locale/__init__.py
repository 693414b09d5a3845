"""The program's texts in the reader's language.

A text is named by its English wording with `{named}` placeholders; English itself needs no
file. Other languages are folders of .po files, merged: `zh/notify.po`, `zh/chat.po` ...
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files

from babel.messages.pofile import read_po

ENGLISH = "en"
Translate = Callable[[str], str]


def translator(language: str) -> Translate:
    """Turns an English text into its wording in a language; `zh-hans` and `zh_CN` mean `zh`.

    A language without files, and a text without a translation, stay English.
    """
    return _translator(language.replace("_", "-").partition("-")[0].lower())


def languages() -> list[str]:
    """The languages there are texts for, English first."""
    return [ENGLISH, *sorted(_folders())]


@lru_cache(maxsize=64)
def _translator(language: str) -> Translate:
    texts = _texts(language) if language in _folders() else {}
    return lambda text: texts.get(text, text)


@lru_cache(maxsize=1)
def _folders() -> frozenset[str]:
    return frozenset(
        folder.name
        for folder in files(__name__).iterdir()
        if folder.is_dir() and any(file.name.endswith(".po") for file in folder.iterdir())
    )


def _texts(language: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in (files(__name__) / language).iterdir():
        if file.name.endswith(".po"):
            with file.open("rb") as opened:
                catalog = read_po(opened, locale=language)
            texts |= {
                message.id: message.string
                for message in catalog
                if isinstance(message.id, str) and isinstance(message.string, str) and message.id
            }
    return {english: text for english, text in texts.items() if text}
