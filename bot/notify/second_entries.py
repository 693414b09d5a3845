"""What FALLBACK_URLS says: for whom there is a second channel, and where it leads."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

ADMINS = "admins"  # the program's faults, as the admins hear of them
_ENTRY = re.compile(r"(?:(?P<chat>[^\s=:/?#,]+)=)?(?P<url>[A-Za-z][\w+.-]*://\S+)", re.DOTALL)
_NEXT = re.compile(r",(?=(?:[^\s=:/?#,]+=)?[A-Za-z][\w+.-]*://)")
_SECRET_PART = 8  # characters; a shorter one might be a word of everyday text


@dataclass(frozen=True, slots=True)
class Entry:
    """`chat`: ADMINS, a chat's id, or its name under `chats:` in the rules file."""

    chat: str
    url: str = field(repr=False)


def read_entries(text: str) -> tuple[Entry, ...]:
    """Entries `URL`, `admins=URL`, `NAME=URL` or `ID=URL`, between blanks or line ends.

    A comma parts entries only where another one follows: addresses hold commas too.

    Raises:
        ValueError: says which entry is none, without repeating it.
    """
    words = [word for part in text.split() for word in _NEXT.split(part)]
    given = [word.strip(",") for word in words if word.strip(",")]
    entries = []
    for position, word in enumerate(given, 1):
        found = _ENTRY.fullmatch(word)
        if found is None:
            raise ValueError(
                "entries like admins=mailto://… or NAME=discord://… between blanks, which entry "
                f"{position} is not"
            )
        entries.append(Entry(found["chat"] or ADMINS, found["url"]))
    if not entries:
        raise ValueError("entries like admins=mailto://… or NAME=discord://… between blanks")
    return tuple(entries)


def secrets_of(url: str) -> tuple[str, ...]:
    """An address, and what of it is secret by itself: libraries log it in pieces of their own."""
    found = [url, url.partition("://")[2]]
    try:
        parts = urlsplit(url)
    except ValueError:
        return tuple(found)
    if parts.password:
        found += [parts.password, unquote(parts.password)]
    host = "" if "." in (parts.hostname or "") else parts.netloc.rpartition("@")[2]
    pieces = [parts.username or "", *host.split(":"), *re.split(r"[/?&=,;]", parts.path)]
    pieces += re.split(r"[&=,;/]", parts.query)
    found += [piece for piece in pieces if len(piece) >= _SECRET_PART and piece != "localhost"]
    return tuple(dict.fromkeys(filter(None, found)))
