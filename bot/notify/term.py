"""The value of a term of the rule language, in the unit a trader reads it in."""

import re
from collections.abc import Callable, Mapping

from bot.locale import formats

_FIELD = re.compile(r"(?:(change|min|max|avg)\(|\|)?([a-z0-9]+)")  # of a canonical term
_WRITERS: Mapping[str, Callable[[float], str]] = {
    "rate": formats.percent,
    "rate8h": formats.percent,
    "apr": formats.annual,
    "basis": formats.percent,
    "mark": formats.price,
    "index": formats.price,
    "settle": formats.price,
    "funding": formats.duration,
    "interval": formats.duration,
    "cap": formats.annual,
}
_PRICES = ("mark", "index", "settle")


def field_of(term: str) -> str:
    """The field that a term is about: `basis` of `|basis|` or `change(basis, 1h)`."""
    match = _FIELD.match(term)
    return match.group(2) if match else term


def term_text(term: str, value: float) -> str:
    """A value of a term as `rate`, `|basis|` or `change(mark, 1h)`; times in ms.

    The change of a price is relative, hence a percentage. A magnitude has no sign.
    """
    match = _FIELD.match(term)
    function, field = match.groups() if match else (None, term)
    if function == "change":
        if field in _PRICES:
            return formats.percent(value)
        if field in ("funding", "interval"):
            return ("-" if value < 0 else "+") + formats.duration(value)
    writer = _WRITERS.get(field)
    text = writer(value) if writer else f"{value:g}"
    return text.removeprefix("+") if term.startswith("|") else text
