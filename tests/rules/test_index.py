import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.catalog import Catalog
from bot.rules.index import RuleIndex
from tests.rules.build import catalog, rule

SYMBOLS = ["BTC", "BTCUSDT", "ETHUSDT", "BTCUSDC", "ETHBTC", "USDT", "BTCUSDT_260327", "TSLAUSDT"]
CATALOGS = [
    Catalog(),
    catalog("BTCUSDT", "ETHUSDT", "BTCUSDC", "BTCUSDT_260327", tradfi=("TSLAUSDT",)),
    catalog("BTC", "BTCUSDT", "USDT", delisted=("ETHUSDT",)),
]
ENTRIES = [
    "BTC", "BTCUSDT", "ETH", "ETHBTC", "USDT", "BTCUSDC", "TSLA", "*USDT", "B*", "ALL", "perp",
    "quarterly", "tradfi", "!BTC", "!ETHUSDT", "!*C", "!ALL",
]  # fmt: skip
lists = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4).filter(
    lambda entries: any(not entry.startswith("!") for entry in entries)
)


@given(st.lists(lists, max_size=8), st.sampled_from(CATALOGS), st.booleans())
def test_the_index_finds_what_each_selection_selects_in_book_order(
    selectors: list[list[str]], known: Catalog, funded: bool
) -> None:
    rules = [rule(str(number), ",".join(entries)) for number, entries in enumerate(selectors)]
    index = RuleIndex(rules)
    for symbol in SYMBOLS:
        expected = tuple(
            rule for rule in rules if rule.selection.selects(symbol, known, funded=funded)
        )
        assert index.for_symbol(symbol, known, funded) == expected


@pytest.mark.parametrize("known", CATALOGS[:2], ids=["without catalog", "with catalog"])
def test_many_rules_of_single_symbols_cost_a_look_up_nothing(known: Catalog) -> None:
    rules = [rule(str(number), f"SYM{number}USDT") for number in range(2_000)]
    rules.append(rule("last", "BTC"))
    index = RuleIndex(rules)
    alone = RuleIndex(rules[-1:])
    # Each is its best of some rounds, turn by turn; a walk would take a thousand times as long.
    rounds = [(_cost(alone, known), _cost(index, known)) for _ in range(10)]
    fewest, most = (min(costs) for costs in zip(*rounds, strict=True))
    assert most < 50 * fewest
    assert [rule.name for rule in index.for_symbol("BTCUSDT", known, True)] == ["last"]


def _cost(index: RuleIndex, known: Catalog) -> float:
    """Seconds for a hundred look-ups."""
    begun = time.perf_counter()
    for _ in range(100):
        index.for_symbol("BTCUSDT", known, True)
    return time.perf_counter() - begun
