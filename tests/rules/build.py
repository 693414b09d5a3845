"""Readings, rules and catalogs for the tests of the rule language, and random conditions."""

from fractions import Fraction
from types import MappingProxyType

from hypothesis import strategies as st

from bot.market.catalog import PERPETUAL, TRADFI, Catalog, Contract
from bot.market.history import FINE_WINDOW, Series
from bot.market.reading import FIELDS, Kind, Reading
from bot.market.tick import Tick
from bot.rules.expression import And, Comparison, Condition, Crossing, Node, Not, Or, Term
from bot.rules.parser import parse_condition
from bot.rules.quantity import threshold
from bot.rules.rule import Options, Rule, Target
from bot.rules.selector import read_selection

HOUR = 3_600_000
NOW = 1_680_652_800_000  # ms


def tick(**changes: object) -> Tick:
    values: dict[str, object] = {
        "symbol": "BTCUSDT",
        "event_time": NOW,
        "mark": "28000.5",
        "index": "28000",
        "settle": "28001",
        "rate": "0.00010000",
        "next_funding_time": NOW + HOUR // 2,
    }
    return Tick(**(values | changes))  # type: ignore[arg-type]


def reading(now: int = NOW, interval_hours: int = 8, **changes: object) -> Reading:
    return Reading(tick(**changes), now, interval=interval_hours * HOUR)


def reading_after(field: str, window: int, rows: list[tuple[int, str]]) -> Reading:
    """The reading at the last of (ms before NOW, text) rows, with the history of all of them."""
    coarse = window > FINE_WINDOW
    series = Series(window, coarse=coarse)
    name = {"funding": "next_funding_time"}.get(field, field)
    for ago, text in rows:
        value = Reading(tick(**{name: text}), NOW - ago).value(field)
        if value is not None:
            series.add(NOW - ago, value)
    last_ago, last = rows[-1]
    return Reading(tick(**{name: last}), NOW - last_ago, series={(field, coarse): series})


def catalog(*traded: str, tradfi: tuple[str, ...] = (), delisted: tuple[str, ...] = ()) -> Catalog:
    contracts = {name: Contract(name, PERPETUAL, "TRADING") for name in traded}
    contracts |= {name: Contract(name, TRADFI, "TRADING") for name in tradfi}
    contracts |= {name: Contract(name, PERPETUAL, "SETTLING") for name in delisted}
    for name in traded:
        if "_" in name:
            contracts[name] = Contract(name, "CURRENT_QUARTER", "TRADING")
    return Catalog(MappingProxyType(contracts))


def rule(
    name: str = "r",
    symbols: str = "BTCUSDT",
    when: str = "rate > 0.05%",
    options: Options | None = None,
    *,
    targets: tuple[Target, ...] = (),
    created_at: int = 0,
) -> Rule:
    return Rule(
        f"file:{name}",
        name,
        read_selection(symbols.split(",")),
        parse_condition(when),
        options or Options(),
        targets,
        created_at,
    )


# Random conditions, as the parser would make them

_DURATIONS = st.integers(1, 24 * 60).map(lambda minutes: minutes * 60_000)


def _quantities(kind: Kind) -> st.SearchStrategy[Fraction]:
    if kind is Kind.TIME:
        return st.integers(-(10**9), 10**9).map(Fraction)
    places = 8 if kind is Kind.RATIO else 4
    return st.integers(-(10**12), 10**12).map(lambda number: Fraction(number, 10**places))


terms = st.one_of(
    st.builds(Term, st.sampled_from(sorted(FIELDS)), st.sampled_from(["", "abs"])),
    st.builds(
        Term,
        st.sampled_from(sorted(FIELDS)),
        st.sampled_from(["change", "min", "max", "avg"]),
        _DURATIONS,
    ),
)
comparisons: st.SearchStrategy[Node] = terms.flatmap(
    lambda term: st.builds(
        Comparison,
        st.just(term),
        st.sampled_from([">", ">=", "<", "<="]),
        _quantities(term.kind).map(threshold),
    )
)
crossings: st.SearchStrategy[Node] = terms.flatmap(
    lambda term: st.builds(
        Crossing,
        st.just(term),
        st.sampled_from(["", "above", "below"]),
        _quantities(term.kind).map(threshold),
        st.just(0),
    )
)


def _joined(kind: type[And | Or], operands: list[Node]) -> Node:
    flat: list[Node] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) else [operand])
    return kind(tuple(flat))


def _deeper(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(nodes, min_size=2, max_size=3)
    return st.one_of(
        nodes.map(Not),
        several.map(lambda operands: _joined(And, operands)),
        several.map(lambda operands: _joined(Or, operands)),
    )


lasting = st.recursive(comparisons, _deeper, max_leaves=6).map(Condition)
instants = st.tuples(crossings, comparisons).map(lambda pair: Condition(_joined(And, list(pair))))
conditions = st.one_of(lasting, instants)
