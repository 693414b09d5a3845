"""Which symbols a rule is about: names, globs, groups, classes, ALL, and `!` excludes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from bot.market.catalog import PERPETUAL, TRADFI, Catalog, Contract
from bot.rules.nearest import hint, quoted

CLASSES = ("PERP", "TRADFI", "QUARTERLY", "ALL")
_QUARTERLY = re.compile(r".+_\d{6}", re.ASCII)
# A name that ends in one of these is whole; another one may leave out its USDT.
_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD1", "BTC", "ETH")
_ENTRY = re.compile(r"!?@?[\w*?\[\]-]{1,100}")
_GLOB_SIGN = re.compile(r"[*?\[]")
MAX_ENTRIES = 1_000  # of a selection with its groups opened: more than the venue has symbols
MAX_GROUPS = 1_000
Groups = Mapping[str, Sequence[str]]  # a group's name to its entries


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
    text: tuple[str, ...] = field(default=(), compare=False)  # as written, groups closed

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
    return entry not in CLASSES and _GLOB_SIGN.search(entry) is None


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
    return _glob(entry).match(symbol) is not None


@lru_cache(maxsize=65_536)  # fnmatch itself keeps too few for a million watches
def _glob(entry: str) -> re.Pattern[str]:
    return re.compile(translate(entry))


def _in_class(entry: str, contract: Contract) -> bool:
    kinds = {"PERP": (PERPETUAL,), "TRADFI": (TRADFI,), "ALL": (PERPETUAL, TRADFI)}
    if entry == "QUARTERLY":
        return contract.contract_type.endswith("QUARTER")
    return contract.contract_type in kinds[entry]


def read_selection(entries: Sequence[str], groups: Groups | None = None) -> Selection:
    """A selection from its written entries; names in any case.

    Raises:
        SelectorError: an entry that is none, an unknown or circular group, only excludes.
    """
    plain: list[str] = []
    for position, entry in enumerate(entries):
        try:
            plain += read_entry(entry, groups or {})
        except SelectorError as error:
            raise SelectorError(error.message, position) from None
        if len(plain) > MAX_ENTRIES:
            raise SelectorError(f"more than {MAX_ENTRIES} symbols and globs", position)
    include = tuple(dict.fromkeys(entry for entry in plain if not entry.startswith("!")))
    exclude = tuple(dict.fromkeys(entry[1:] for entry in plain if entry.startswith("!")))
    if not include:
        raise SelectorError(
            "only excludes: nothing is selected; begin with ALL or a name"
            if exclude
            else "no symbols: write a name, a glob, @group, perp, tradfi, quarterly or ALL"
        )
    written = (entry if "@" in entry else entry.upper() for entry in map(str.strip, entries))
    return Selection(include, exclude, tuple(written))


def read_entry(entry: str, groups: Groups) -> list[str]:
    """The plain entries behind a written one, in capitals, each with its `!`.

    Raises:
        SelectorError: it is no entry, or its group is unknown or circular.
    """
    entry = entry.strip()
    if not _ENTRY.fullmatch(entry):
        listed = "; write a list, as in [BTCUSDT, ETHUSDT]" if "," in entry else ""
        raise SelectorError(f"{quoted(entry)} is no symbol, glob, @group or class{listed}")
    name = entry.removeprefix("!")
    if not name.startswith("@"):
        return [entry.upper()]
    members = groups.get(name[1:])
    if members is None:
        known = hint(name, (f"@{group}" for group in islice(groups, 50)))
        raise SelectorError(f"unknown group {quoted(name)}; {known}")
    if any("@" in member for member in members):
        opened, problems = open_groups(groups)
        if problems:
            raise SelectorError(problems[0].message)
        members = opened[name[1:]]
    return _signed(entry, members)


def _signed(entry: str, members: Iterable[str]) -> list[str]:
    """A group's plain entries; behind `!@group` all that it includes is excluded."""
    plain = [member.strip().upper() for member in members]
    if not entry.startswith("!"):
        return plain
    return [f"!{member}" for member in plain if not member.startswith("!")]


@dataclass(frozen=True, slots=True)
class GroupProblem:
    """What is wrong with one entry of a group; `position` counts from 0."""

    group: str
    position: int
    message: str


def open_groups(groups: Groups) -> tuple[dict[str, tuple[str, ...]], list[GroupProblem]]:
    """The groups with the groups inside them opened, and every entry that cannot be meant."""
    problems: list[GroupProblem] = []
    written: dict[str, list[tuple[int, str]]] = {}  # the entries that stand
    for name, entries in groups.items():
        written[name] = []
        for position, entry in enumerate(map(str.strip, entries)):
            try:
                read_entry(entry, dict.fromkeys(groups, ()))
                written[name].append((position, entry))
            except SelectorError as error:
                problems.append(GroupProblem(name, position, error.message))
    opened: dict[str, tuple[str, ...]] = {}
    for name in _innermost_first(written):
        opened[name] = _open(written[name], opened)
        if len(opened[name]) > MAX_ENTRIES:
            opened[name] = opened[name][:MAX_ENTRIES]
            problems.append(GroupProblem(name, 0, f"more than {MAX_ENTRIES} symbols and globs"))
    circular = [name for name in groups if name not in opened]
    for name in circular:
        problems += [
            GroupProblem(name, position, f"{entry} leads to a group that contains itself")
            for position, entry in written[name]
            if "@" in entry and entry.lstrip("!@") not in opened
        ]
    return opened | dict.fromkeys(circular, ()), problems


def _innermost_first(written: Mapping[str, list[tuple[int, str]]]) -> Iterable[str]:
    """The groups in an order in which each follows those inside it, without the circular ones."""
    inside = {
        name: [entry.lstrip("!@") for _, entry in entries if "@" in entry]
        for name, entries in written.items()
    }
    sorter = TopologicalSorter(inside)
    with suppress(CycleError):  # what does not depend on a circle still comes
        sorter.prepare()
    while ready := sorter.get_ready():
        yield from ready
        sorter.done(*ready)


def _open(entries: list[tuple[int, str]], opened: Groups) -> tuple[str, ...]:
    plain: dict[str, None] = {}
    for _, entry in entries:
        members = opened[entry.lstrip("!@")] if "@" in entry else [entry.lstrip("!")]
        plain |= dict.fromkeys(_signed(entry, members))
    return tuple(plain)
