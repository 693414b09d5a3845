"""Which rules are about a symbol: by name where rules name symbols, by matching for the rest."""

from collections import defaultdict
from collections.abc import Iterable

from bot.market.catalog import Catalog
from bot.rules.rule import Rule
from bot.rules.selector import Selection, is_name, matches

_QUOTE = "USDT"  # what a name may leave out; see selector.matches


class RuleIndex:
    """The rules of a book, found by symbol.

    A rule whose included entries are plain names is found in a dict and costs nothing elsewhere;
    only rules with globs or classes are matched against each symbol that is asked for.
    """

    __slots__ = ("_by_name", "_matched", "_rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)  # positions in the book
        self._matched: list[int] = []
        for position, rule in enumerate(self._rules):
            if all(map(is_name, rule.selection.include)):
                for name in rule.selection.include:
                    self._by_name[name].append(position)
            else:
                self._matched.append(position)

    def for_symbol(self, symbol: str, catalog: Catalog, funded: bool) -> tuple[Rule, ...]:
        """The rules that select a symbol, in book order; `funded`: its last row had T > 0."""
        if catalog.trades(symbol) is False:
            return ()
        rules = self._rules
        named = {
            position
            for name in (symbol, symbol.removesuffix(_QUOTE))
            if name in self._by_name and matches(name, symbol, catalog, funded=funded)
            for position in self._by_name[name]
            if not _excluded(rules[position].selection, symbol, catalog, funded)
        }
        matched = (
            position
            for position in self._matched
            if rules[position].selection.selects(symbol, catalog, funded=funded)
        )
        return tuple(rules[position] for position in sorted(named.union(matched)))


def _excluded(selection: Selection, symbol: str, catalog: Catalog, funded: bool) -> bool:
    return any(matches(entry, symbol, catalog, funded=funded) for entry in selection.exclude)
