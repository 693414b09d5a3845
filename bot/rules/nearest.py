"""The nearest right word to a wrong one, for errors that people read."""

import difflib
from collections.abc import Iterable

_LONGEST = 40  # characters; a longer word is no slip of a short one, and comparing it takes time


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known word that was probably meant, or None."""
    if len(word) > _LONGEST:
        return None
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=cutoff)
    return names[close[0]] if close else None


def hint(word: str, known: Iterable[str], shown: int = 20) -> str:
    """`did you mean rate?`, or what is known where nothing is near."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near}?"
    return f"known: {', '.join(names[:shown]) or 'none'}" + ", ..." * (len(names) > shown)


def quoted(text: str, longest: int = 40) -> str:
    """A text as an error shows it: in quotes, on one line, cut where it is long."""
    return repr(str(text) if len(text) <= longest else f"{text[:longest]}…")
