"""Which symbols a rule is about: names, globs, groups, classes, ALL, and `!` excludes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bot.market.catalog import PERPETUAL, TRADFI, Catalog, Contract

CLASSES = ("PERP", "TRADFI", "QUARTERLY", "ALL")
_QUARTERLY = re.compile(r".+_\d{6}", re.ASCII)
# A name that ends in one of these is whole; another one may leave out its USDT.
_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD1", "BTC", "ETH")
_ENTRY = re.compile(r"!?@?[\w*?\[\]-]+")


class SelectorError(ValueError):
    """The selector cannot be meant like this; `entry` is its position in the list, from 0."""

    def __init__(self, message: str, entry: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.entry = entry


@dataclass(frozen=True, slots=True)
class Selection:
    """Included and excluded entries, groups already opened; `!` wins wherever it stands."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    text: tuple[str, ...] = field(default=(), compare=False)  # as written, for people

    def selects(self, symbol: str, catalog: Catalog, *, funded: bool) -> bool:
        """Whether a symbol is meant; `funded` says that its last row had T > 0.

        With exchangeInfo only what trades is selected. Without it `perp` and `ALL` are the
        symbols with funding, `tradfi` is empty, and names and globs match any row.
        """
        if catalog.trades(symbol) is False:
            return False
        return any(
            matches(entry, symbol, catalog, funded=funded) for entry in self.include
        ) and not any(matches(entry, symbol, catalog, funded=funded) for entry in self.exclude)

    def unknown_names(self, catalog: Catalog) -> list[str]:
        """The plain names among the included that no trading contract has."""
        if catalog.contracts is None:
            return []
        return [name for name in self.include if is_name(name) and resolve(name, catalog) is None]

    def names(self, catalog: Catalog) -> list[str] | None:
        """The symbols by name, or None where an entry can select others than the named ones."""
        if not all(is_name(entry) for entry in self.include):
            return None
        return [resolve(entry, catalog) or whole(entry) for entry in self.include]

    def __str__(self) -> str:
        return ",".join(self.text or (*self.include, *(f"!{entry}" for entry in self.exclude)))


def is_name(entry: str) -> bool:
    """A plain symbol name: no class, no glob."""
    return entry not in CLASSES and not any(sign in entry for sign in "*?[")


def whole(name: str) -> str:
    """A name with its quote asset: `BTC` alone means BTCUSDT."""
    ends = any(name.endswith(quote) and name != quote for quote in _QUOTES)
    return name if ends or "_" in name else f"{name}USDT"


def resolve(name: str, catalog: Catalog) -> str | None:
    """The trading symbol that a name means; None where none trades (or nobody knows)."""
    name = name.upper()
    for symbol in (name, f"{name}USDT"):
        if catalog.trades(symbol):
            return symbol
    return None


def matches(entry: str, symbol: str, catalog: Catalog, *, funded: bool) -> bool:
    if entry in CLASSES:
        contract = None if catalog.contracts is None else catalog.contracts.get(symbol)
        if contract is not None:
            return _in_class(entry, contract)
        if entry == "QUARTERLY":
            return _QUARTERLY.fullmatch(symbol) is not None
        return funded and entry in ("ALL", "PERP")
    if is_name(entry):
        if catalog.contracts is not None:
            return symbol == resolve(entry, catalog)
        return symbol in (entry, whole(entry))
    return fnmatchcase(symbol, entry)


def _in_class(entry: str, contract: Contract) -> bool:
    kinds = {"PERP": (PERPETUAL,), "TRADFI": (TRADFI,), "ALL": (PERPETUAL, TRADFI)}
    if entry == "QUARTERLY":
        return contract.contract_type.endswith("QUARTER")
    return contract.contract_type in kinds[entry]


def read_selection(entries: list[str], groups: Mapping[str, list[str]] | None = None) -> Selection:
    """A selection from its written entries; names in any case.

    Raises:
        SelectorError: an entry that is none, an unknown or circular group, only excludes.
    """
    include: list[str] = []
    exclude: list[str] = []
    for position, entry in enumerate(entries):
        try:
            inner, outer = _open(entry.strip(), groups or {}, ())
        except SelectorError as error:
            raise SelectorError(error.message, position) from None
        include += inner
        exclude += outer
    if not include:
        raise SelectorError(
            "only excludes: nothing is selected; begin with ALL or a name"
            if exclude
            else "no symbols: write a name, a glob, @group, perp, tradfi, quarterly or ALL"
        )
    return Selection(
        tuple(dict.fromkeys(include)), tuple(dict.fromkeys(exclude)), tuple(map(str.strip, entries))
    )


def _open(
    entry: str, groups: Mapping[str, list[str]], inside: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """The included and excluded plain entries behind one written entry."""
    if not _ENTRY.fullmatch(entry):
        raise SelectorError(f"{entry!r} is no symbol, glob, @group or class")
    name = entry.removeprefix("!")
    if not name.startswith("@"):
        found: tuple[list[str], list[str]] = ([name.upper()], [])
    else:
        found = _open_group(name[1:], groups, inside)
    if not entry.startswith("!"):
        return found
    return [], found[0]


def _open_group(
    name: str, groups: Mapping[str, list[str]], inside: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    if name in inside:
        raise SelectorError(f"group @{name} contains itself")
    if name not in groups:
        known = ", ".join(f"@{group}" for group in groups) or "none is defined"
        raise SelectorError(f"unknown group @{name}; known: {known}")
    include: list[str] = []
    exclude: list[str] = []
    for entry in groups[name]:
        inner, outer = _open(entry.strip(), groups, (*inside, name))
        include += inner
        exclude += outer
    return include, exclude
