"""Words that several answers share: values, quantities, places of mistakes, symbols."""

import difflib
import unicodedata
from fractions import Fraction

from bot.chat.world import World
from bot.locale import Translate, formats
from bot.market.catalog import Catalog
from bot.market.catalog_changes import PENDING
from bot.market.number import decimal_text
from bot.market.reading import HOUR, Kind
from bot.notify.markup import escape, plain_text, units
from bot.notify.term import term_text
from bot.rules.expression import Comparison, Crossing, Part, Truth
from bot.rules.selector import Selection, is_name, resolve, whole
from bot.store.records import Watch

LONGEST_TEXT = 3_000  # UTF-16 units of a page of rows; a message takes 4096
_SIGNS = {True: "✅", False: "❌", None: "❔"}
_PLACE_WIDTH = 34  # columns of a monospace line on a phone
_LONGEST_NAME = 40  # characters; no symbol is longer, and comparing takes time
_PER = {"rate8h": 8 * HOUR, "apr": 365 * 24 * HOUR}  # ms; a rate of these fields is per so long


def code(text: str) -> str:
    """A text to be tapped and copied."""
    return f"<code>{escape(text)}</code>"


def pointed(text: str, column: int) -> str:
    """A line with a caret under one of its columns (from 1), cut around it to a phone's width."""
    line = " ".join(text.split("\n")).replace("\t", " ").replace("\r", " ")
    at = min(max(column - 1, 0), len(line))
    first = max(0, min(at - _PLACE_WIDTH // 2, len(line) - _PLACE_WIDTH))
    shown = line[first : first + _PLACE_WIDTH]
    if first:
        shown = "…" + shown[1:]
    if first + _PLACE_WIDTH < len(line):
        shown = shown[:-1] + "…"
    indent = sum(width(sign) for sign in shown[: at - first])
    return f"<pre>{escape(shown)}\n{' ' * indent}^</pre>"


def width(sign: str) -> int:
    """The columns of a sign in a monospace font."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def fitted(text: str, columns: int) -> str:
    """A text padded or cut to so many columns."""
    room, kept = columns, ""
    for sign in text:
        room -= width(sign)
        if room < 0:
            return fitted(kept[:-1], columns - 1) + "…" if kept else "…"
        kept += sign
    return kept + " " * room


def sign(truth: Truth) -> str:
    """✅, ❌, or ❔ for unknown."""
    return _SIGNS[truth]


def part_text(part: Part, _: Translate) -> str:
    """`✅ rate > 0.05% (+0.0612 %)`: one comparison as it stands."""
    value = _("unknown") if part.value is None else term_text(str(part.term), part.value.approx)
    return f"{sign(part.truth)} {code(part.text)} ({value})"


def threshold_text(leaf: Comparison | Crossing, interval: int | None, _: Translate) -> str:
    """Both readings of a ratio: `0.0005 = 0.05 % per 8 h = 54.75 % APR`.

    "" of zero and of what is no ratio. `interval` (ms) is the funding interval, where the
    condition is about one symbol that has one.
    """
    term, exact = leaf.term, leaf.threshold.exact
    if term.kind is not Kind.RATIO or not exact:
        return ""
    text = f"{decimal_text(exact)} = {decimal_text(exact * 100)} %"
    span = interval if term.field == "rate" else _PER.get(term.field)
    if span is None or term.function == "change":
        return text
    spans = dict.fromkeys((span, 8 * HOUR, _PER["apr"]))
    readings = [_per(exact * other / span, other, _) for other in spans]
    return " = ".join((decimal_text(exact), *readings))


def _per(fraction: Fraction, span: int, _: Translate) -> str:
    percent = f"{float(fraction * 100):.6g} %"
    if span == _PER["apr"]:
        return _("{percent} APR").format(percent=percent)
    return _("{percent} per {hours}").format(percent=percent, hours=formats.hours(span))


def find_symbol(text: str, world: World) -> str | None:
    """The symbol that somebody means: one that trades, else one that rows come of."""
    name = text.strip().upper()[:_LONGEST_NAME]
    trading = resolve(name, world.catalog)
    if trading is not None:
        return trading
    seen = (one for one in (name, whole(name), f"{name}USDT") if world.reading(one) is not None)
    return next(seen, None)


def nearest_symbols(text: str, world: World) -> list[str]:
    """The symbols whose names are nearest to a mistyped one, up to three."""
    name = text.strip().upper()[:_LONGEST_NAME]
    if world.catalog.contracts is not None:
        return world.catalog.nearest(name)
    names = sorted(reading.tick.symbol for reading in world.readings())
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return close or difflib.get_close_matches(f"{name}USDT", names, n=3, cutoff=0.7)


def unknown_symbol(text: str, world: World, _: Translate) -> str:
    """Says that a name is none, and which ones are near; or that its contract does not trade."""
    name = text.strip()[:_LONGEST_NAME]
    listed = not_traded(name, world, _)
    if listed:
        return listed
    said = _("There is no symbol {name}.").format(name=code(name))
    close = nearest_symbols(name, world)
    if close:
        said += " " + _("Nearest: {names}.").format(names=", ".join(map(code, close)))
    return said


def not_traded(text: str, world: World, _: Translate) -> str:
    """Says that a contract is listed and does not trade, or not yet; "" where that is not so."""
    name, contracts = text.strip().upper(), world.catalog.contracts or {}
    symbols = (name, whole(name), f"{name}USDT")
    contract = next((contracts[symbol] for symbol in symbols if symbol in contracts), None)
    if contract is None or contract.trades:
        return ""
    if contract.status == PENDING:
        said = _("{symbol} is listed and not traded yet ({status}).")
    else:
        said = _("{symbol} is no longer traded ({status}).")
    return said.format(symbol=code(contract.symbol), status=escape(contract.status))


def full_names(selection: Selection, catalog: Catalog) -> Selection:
    """The selection as it is kept: plain names whole and in capitals, as the venue writes them."""

    def full(entry: str) -> str:
        mark = "!" if entry.startswith("!") else ""
        name = entry.removeprefix("!")
        if name.startswith("@"):
            return entry
        name = name.upper()
        return mark + ((resolve(name, catalog) or whole(name)) if is_name(name) else name)

    written = selection.text or (*selection.include, *(f"!{name}" for name in selection.exclude))
    return Selection(
        tuple(full(entry) for entry in selection.include),
        tuple(full(entry) for entry in selection.exclude),
        tuple(dict.fromkeys(map(full, written))),
    )


def some_of(names: list[str], shown: int = 3) -> str:
    """`BTCUSDT, ETHUSDT +5`: the first few, and how many more."""
    more = f" +{len(names) - shown}" if len(names) > shown else ""
    return ", ".join(map(code, names[:shown])) + more


def watch_names(watch: Watch, world: World) -> list[str]:
    """The full symbols of a watch on plain names; none of a glob, a group or a class."""
    rules = (rule for rule in world.rules(watch.chat_id) if rule.id == watch.rule_id)
    return next((rule.selection.names(world.catalog) or [] for rule in rules), [])


def pages_of(rows: list[str], most: int = 1_000) -> list[list[str]]:
    """Rows in pages of at most `most`, each short enough for one message; never without a page."""
    pages: list[list[str]] = [[]]
    length = 0
    for row in rows:
        size = units(plain_text(row)) + 1
        if pages[-1] and (length + size > LONGEST_TEXT or len(pages[-1]) == most):
            pages.append([])
            length = 0
        pages[-1].append(row)
        length += size
    return pages
