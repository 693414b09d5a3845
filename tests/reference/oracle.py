"""`fundingbot replay --json` once more: a brute-force reading of design sections 2, 3 and 4.

Nothing is shared with the program: fractions throughout, whole histories, every rule looked at
on every row. It exists so that two readings of one text can be compared (see compare.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.reference.language import Comparison, Condition, Rule, Value, rules_of
from tests.reference.market import STALE, Catalog, Row, Symbol, rows, shown

Event = dict[str, Any]
Truth = bool | None  # None: unknown


@dataclass
class State:
    """Of one rule on one symbol."""

    phase: str = "idle"  # idle -> pending -> firing -> recovering -> idle
    since: int = 0  # when the condition of this episode became true
    recovering: int = 0  # since when the clear condition holds
    known: int = 0  # E of the last known evaluation of a hold
    told: bool = False  # this episode's firing
    told_at: int = 0  # the last fired or reminded of this episode
    fired_at: int | None = None  # the last told firing, for `cooldown`
    clear: Truth = None  # of the last evaluation
    over: bool = False  # `once` has ended the rule for this symbol
    previous: dict[Comparison, Fraction] = field(default_factory=dict)


def truth(condition: Condition, symbol: Symbol, state: State, now: int, clock: int) -> Truth:
    """Kleene's three values; every part sees every evaluation."""
    if isinstance(condition, Comparison):
        value = symbol.value(condition.value, now, clock)
        if condition.crosses:
            return crossing(condition, value, state)
        return None if value is None else compared(value, condition.operator, condition.quantity)
    parts = [truth(part, symbol, state, now, clock) for part in condition.parts]
    if condition.word == "not":
        return None if parts[0] is None else not parts[0]
    decides = condition.word == "or"  # one true decides an `or`, one false an `and`
    if decides in parts:
        return decides
    return None if None in parts else not decides


def compared(value: Fraction, operator: str, quantity: Fraction) -> bool:
    """Comparisons are decided exactly."""
    if operator == ">":
        return value > quantity
    if operator == ">=":
        return value >= quantity
    if operator == "<":
        return value < quantity
    return value <= quantity


def crossing(comparison: Comparison, value: Fraction | None, state: State) -> Truth:
    """Above: the previous known value <= q and the new one > q; below mirrored."""
    if value is None:
        return None  # the previous known value survives gaps
    before = state.previous.get(comparison)
    state.previous[comparison] = value
    if before is None:
        return None  # with none the crossing is unknown
    above = before <= comparison.quantity < value
    below = before >= comparison.quantity > value
    return {"above": above, "below": below, "either": above or below}[comparison.operator]


class Oracle:
    def __init__(self, rules_yaml: str, catalog: dict[str, Any] | None) -> None:
        self.rules, self.groups = rules_of(rules_yaml)
        self.catalog = Catalog.of(catalog)
        self.symbols: dict[str, Symbol] = {}  # by first appearance
        self.states: dict[tuple[int, str], State] = {}  # by rule number and symbol
        self.clock = 0  # the greatest accepted E
        self.first = 0  # the first accepted E
        self.events: list[Event] = []

    def line(self, line: bytes) -> None:
        found = list(rows(line))
        for row in found:  # in the order of its rows, then of the rules in the file
            self.row(row)
        if found:  # lines that are not mark-price updates are skipped
            self.advance()  # after each line

    def row(self, row: Row) -> None:
        symbol = self.symbols.get(row.symbol)
        if symbol is not None and row.event_time <= symbol.last().event_time:
            return  # E <= the symbol's last E is dropped
        if symbol is None:
            symbol = self.symbols[row.symbol] = Symbol(row.event_time, self.catalog)
        self.first = self.first or row.event_time
        self.clock = max(self.clock, row.event_time)
        symbol.accept(row, self.clock)
        for number, rule in enumerate(self.rules):
            if not self.catalog.selects(rule.symbols, self.groups, row):
                # A rule that no longer selects a symbol ends there silently.
                self.states.pop((number, row.symbol), None)
                continue
            state = self.states.setdefault((number, row.symbol), State())
            if self.runs(rule, state):
                self.evaluate(rule, state, symbol, row.event_time, tick=True)

    def advance(self) -> None:
        """What the clock brings: in rule order, then by first appearance of the symbol."""
        for number, rule in enumerate(self.rules):
            for name, symbol in self.symbols.items():
                state = self.states.get((number, name))
                if state is None or not self.runs(rule, state):
                    continue
                # It evaluates only rules that mention `funding`, on symbols with last E < clock,
                if rule.mentions_funding and symbol.last().event_time < self.clock:
                    self.evaluate(rule, state, symbol, self.clock, tick=False)
                # and pays what is due of `repeat` and `cooldown` on every symbol: the state is
                # firing, k is false and the symbol is fresh.
                if state.phase == "firing" and state.clear is False and not state.over:
                    self.pay(rule, state, symbol, self.clock)

    def runs(self, rule: Rule, state: State) -> bool:
        """Not ended by `once`, nor by `until` (when the clock reaches it)."""
        deadline = rule.deadline(self.first)
        return not state.over and (deadline is None or self.clock < deadline)

    def evaluate(self, rule: Rule, state: State, symbol: Symbol, now: int, *, tick: bool) -> None:
        c = truth(rule.when, symbol, state, now, self.clock)
        if rule.clear is not None:
            k = truth(rule.clear, symbol, state, now, self.clock)
        else:
            k = None if c is None else not c  # default: not c
        state.clear = k
        if rule.crossing:  # an instant: it fires and never resolves; in its cooldown it is not told
            if c is True and not cooling(rule, state, now):
                state.since = now
                self.tell_fired(rule, state, symbol, now)
        elif state.phase == "idle":
            self.idle(rule, state, symbol, now, c, tick=tick)
        elif state.phase == "pending":
            self.pending(rule, state, symbol, now, c, tick=tick)
        elif state.phase == "firing":
            self.firing(rule, state, symbol, now, k, tick=tick)
        else:
            self.recovering(rule, state, symbol, now, k, tick=tick)

    def idle(
        self, rule: Rule, state: State, symbol: Symbol, now: int, c: Truth, *, tick: bool
    ) -> None:
        if c is True and rule.hold == 0:
            state.since = now
            self.fire(rule, state, symbol, now)
        elif c is True and tick:  # an advance neither starts, prolongs nor completes a hold
            state.phase, state.since, state.known = "pending", now, now

    def pending(
        self, rule: Rule, state: State, symbol: Symbol, now: int, c: Truth, *, tick: bool
    ) -> None:
        if c is False:
            state.phase = "idle"
        elif c is True and tick:
            if now - state.known > STALE:  # since the last known evaluation: restarts at t
                state.since = now
            elif now - state.since >= rule.hold:
                self.fire(rule, state, symbol, now)
            state.known = now

    def firing(
        self, rule: Rule, state: State, symbol: Symbol, now: int, k: Truth, *, tick: bool
    ) -> None:
        if k is True and rule.keep == 0:
            self.resolve(rule, state, symbol, now)
        elif k is True and tick:
            state.phase, state.recovering, state.known = "recovering", now, now
        elif k is False and tick:  # an advance pays when all is evaluated
            self.pay(rule, state, symbol, now)

    def recovering(
        self, rule: Rule, state: State, symbol: Symbol, now: int, k: Truth, *, tick: bool
    ) -> None:
        if k is False:
            state.phase = "firing"  # silently; nothing is told or reminded here
        elif k is True and tick:
            if now - state.known > STALE:
                state.recovering = now
            elif now - state.recovering >= rule.keep:
                self.resolve(rule, state, symbol, now)
            state.known = now

    def fire(self, rule: Rule, state: State, symbol: Symbol, now: int) -> None:
        state.phase, state.told = "firing", False
        if not cooling(rule, state, now):  # within `cooldown` it is held
            self.tell_fired(rule, state, symbol, now)

    def tell_fired(self, rule: Rule, state: State, symbol: Symbol, now: int) -> None:
        state.told, state.told_at, state.fired_at = True, now, now
        self.tell("fired", rule, state, symbol, now)
        state.over = rule.once  # the first told firing ends the rule for that symbol at once

    def pay(self, rule: Rule, state: State, symbol: Symbol, now: int) -> None:
        """A held firing whose cooldown is over, or a reminder; never to a stale symbol."""
        if symbol.stale(self.clock):
            return
        if not state.told:
            if not cooling(rule, state, now):
                self.tell_fired(rule, state, symbol, now)
        elif rule.repeat and now - state.told_at >= rule.repeat:
            state.told_at = now
            self.tell("reminded", rule, state, symbol, now)

    def resolve(self, rule: Rule, state: State, symbol: Symbol, now: int) -> None:
        state.phase = "idle"
        if state.told and rule.resolved:  # told only if its firing was told
            self.tell("resolved", rule, state, symbol, now)

    def tell(self, kind: str, rule: Rule, state: State, symbol: Symbol, now: int) -> None:
        values = {}
        for part in rule.parts:  # the present value of each field named in `when`
            name = part.value.field
            value = symbol.value(Value("field", name), now, self.clock)
            if value is not None:  # an unknown one is left out
                values[name] = shown(name, value)
        self.events.append(
            {
                "at": now,
                "event": kind,
                "rule": rule.name,
                "symbol": symbol.last().symbol,
                "since": state.since,
                "values": values,
                # `since` is the symbol's first accepted tick after the start.
                "already": kind == "fired" and state.since == symbol.first,
            }
        )


def cooling(rule: Rule, state: State, now: int) -> bool:
    return state.fired_at is not None and now - state.fired_at < rule.cooldown


def run(
    capture_lines: Iterable[bytes], rules_yaml: str, catalog: dict[str, Any] | None = None
) -> list[Event]:
    """The objects that `replay --json` prints for these capture lines, in its order.

    Args:
        capture_lines: the lines of the captures, one stream in the order given.
        rules_yaml: a plain, valid rule file.
        catalog: `{"fundingInfo": [...], "exchangeInfo": {...}}`, each key optional.
    """
    oracle = Oracle(rules_yaml, catalog)
    for line in capture_lines:
        oracle.line(line)
    return oracle.events
