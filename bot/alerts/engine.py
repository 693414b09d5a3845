"""The engine: frames and the passing of time in, events out. There is no other.

Live, demo, replay and tests run it. It decides on whole frames, row by row; it holds no clock,
sends nothing and stores nothing: what must be kept is handed out by `changes`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from bot.alerts.changes import Changes, SampleKept, StateChange
from bot.alerts.event import Event, event_of
from bot.alerts.leftover import Leftover, ended_of
from bot.alerts.lifecycle import IDLE, Kind, Phase, State, Step, durable, not_after, pay, step
from bot.alerts.look import Look
from bot.alerts.symbol import SymbolMemory, said_interval
from bot.market.catalog import Catalog
from bot.market.reading import Reading
from bot.market.tick import Tick
from bot.rules.expression import explain
from bot.rules.index import RuleIndex
from bot.rules.rule import Rule

STALE_AFTER = 30_000  # ms


class Engine:
    """Rules on symbols. `clock` is the greatest event time accepted or advanced to (ms)."""

    def __init__(
        self, rules: Sequence[Rule], catalog: Catalog, *, stale_after: int = STALE_AFTER
    ) -> None:
        self.stale_after = stale_after
        self.catalog = catalog
        self.clock = 0
        self.repeated = 0  # rows at or before their symbol's last event time
        self.symbols: dict[str, SymbolMemory] = {}
        self._rules: tuple[Rule, ...] = ()
        self._positions: dict[str, int] = {}
        self._index = RuleIndex(())
        self._next_end: int | None = None
        self._funding_pairs: list[tuple[Rule, SymbolMemory]] | None = None
        self._due: dict[tuple[str, str], tuple[Rule, SymbolMemory]] = {}
        self._leftover = Leftover()
        self._dirty: dict[tuple[str, str], bool] = {}  # True: worth storing at once
        self._changes = Changes()
        self._doubted = False
        self._set_rules(tuple(rules))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, in the order in which they are evaluated."""
        return self._rules

    def restore(
        self, states: Iterable[StateChange], samples: Iterable[SampleKept], alive_at: int
    ) -> None:
        """Takes what an earlier run left, before the first frame.

        States of rules that are gone or decide otherwise now are handed out as ended. Holds go
        on where less than `stale_after` passes between `alive_at`, the last sign of life (ms),
        and the first tick.
        """
        known, mine = {(rule.id, rule.fingerprint) for rule in self._rules}, []
        for saved in states:
            if (saved.rule_id, saved.fingerprint) in known:
                mine.append(saved)
            else:
                self._changes.ended.append(ended_of(saved, self.catalog))
        self._leftover.keep(mine, samples, alive_at, self.stale_after)

    def waiting(self) -> tuple[list[StateChange], list[SampleKept]]:
        """What was restored and still waits for the first tick of its symbol."""
        return self._leftover.waiting()

    def on_frame(self, ticks: Sequence[Tick]) -> list[Event]:
        """Takes the rows of one frame, in their order; returns what is to be told."""
        return list(self.decide(ticks))

    def decide(self, ticks: Sequence[Tick]) -> Iterator[Event]:
        """As `on_frame`, one event at a time: a storm need not be held in memory at once.

        When an event is handed out, `changes` has its state and those of all before it. Nothing
        else may be asked to change the engine until the last one is out.
        """
        for tick in ticks:
            memory = self._admit(tick)
            if memory is None:
                continue
            stale = self.clock - tick.event_time > self.stale_after
            reading = memory.reading(
                self.catalog, tick.event_time, by_tick=True, stale=stale, clock=self.clock
            )
            if memory.series:
                self._changes.samples += memory.remember(reading)
            states = memory.states
            for rule, check in memory.checks:
                if check is not None and rule.id not in states and not check(reading, (), []):
                    continue  # idle, without a past, and not met or unknown: it stays so
                event = self._evaluate(rule, memory, reading)
                if event is not None:
                    yield event

    def advance(self, now: int) -> list[Event]:
        """Lets time pass: `funding`, `repeat`, `cooldown` and `until` move with the clock.

        Evaluates the rules that mention `funding` on symbols without a row at `now`, and pays
        what is due on every fresh symbol; in rule order, then by the symbols' appearance.
        """
        return list(self.pass_time(now))

    def pass_time(self, now: int) -> Iterator[Event]:
        """As `advance`, one event at a time: see `decide`."""
        self._move_clock(now)
        readings: dict[str, Reading] = {}
        for rule, memory in self._moved_by_time():
            turns = (
                rule.mentions_funding
                and memory.tick.event_time < self.clock
                and memory.turns_by_time(rule, self.clock, self.stale_after)
            )
            if not turns and (rule.id, memory.symbol) not in self._due:
                continue
            reading = readings.get(memory.symbol)
            if reading is None:
                readings[memory.symbol] = reading = self.reading(memory)
            event = None
            if turns:
                event = self._evaluate(rule, memory, reading)
                memory.advanced[rule.id] = self.clock
            if event is None and not reading.stale:
                event = self._pay(rule, memory, reading)
            if event is not None:
                yield event

    def begin_anew(self, now: int) -> None:
        """The clock was wrong and goes back to `now` (ms): symbols wait for a first tick again.

        Their states and minute samples stay, as over a restart. `changes` is to be asked before.
        """
        states = [
            StateChange(rule.id, rule.fingerprint, memory.symbol, not_after(state, now))
            for memory in self.symbols.values()
            for rule in memory.rules
            if (state := memory.states.get(rule.id)) is not None
        ]
        samples = [kept for memory in self.symbols.values() for kept in memory.samples(now)]
        self._leftover.keep(states, samples, now, self.stale_after)
        self.symbols.clear()
        self._due.clear()
        self._dirty.clear()
        self._funding_pairs = None
        self.clock = now

    def replace_rules(self, rules: Sequence[Rule]) -> None:
        """Swaps the rules. States of those that decide as before stay as they are."""
        before = {rule.id: rule for rule in self._rules}
        fresh = {
            rule.id
            for rule in rules
            if rule.id not in before or before[rule.id].fingerprint != rule.fingerprint
        }
        gone = fresh | (before.keys() - {rule.id for rule in rules})
        for memory in self.symbols.values():
            self._end(memory, [rule for rule in memory.rules if rule.id in gone])
            memory.awaiting |= fresh
        self._changes.ended += self._leftover.end(gone, self.catalog)
        self._set_rules(tuple(rules))

    def retire(self, rule_ids: AbstractSet[str]) -> None:
        """Ends rules that have run their course: silently, and what they told is still sent."""
        for memory in self.symbols.values():
            memory.rules = tuple(rule for rule in memory.rules if rule.id not in rule_ids)
            for rule_id in rule_ids & memory.states.keys():
                del memory.states[rule_id]
                self._dirty.pop((rule_id, memory.symbol), None)
        self._leftover.end(rule_ids, self.catalog)
        self._set_rules(tuple(rule for rule in self._rules if rule.id not in rule_ids))

    def on(self, rule_id: str | None = None) -> Iterator[tuple[str, str, State]]:
        """The alerts that are on, firing or not yet over for long enough: rule, symbol, state."""
        for memory in self.symbols.values():
            ids = memory.states if rule_id is None else {rule_id} & memory.states.keys()
            for each in ids:
                state = memory.states[each]
                if state.phase in (Phase.FIRING, Phase.RECOVERING):
                    yield each, memory.symbol, state

    def is_on(self, rule_id: str, symbol: str, since: int) -> bool:
        """Whether an episode is on: as it was left, where its symbol has not come yet."""
        return self.on_since(rule_id, symbol) == since

    def on_since(self, rule_id: str, symbol: str) -> int | None:
        """Since when an alert is on (ms), likewise; None where it is not."""
        memory = self.symbols.get(symbol)
        left = self._leftover.state(rule_id, symbol)
        state = left if memory is None else memory.states.get(rule_id)
        is_on = state is not None and state.phase in (Phase.FIRING, Phase.RECOVERING)
        return state.since if state is not None and is_on else None

    def states_of(self, rule_ids: AbstractSet[str]) -> list[StateChange]:
        """How these rules stand, on symbols that have not come yet as they were left."""
        known = [
            StateChange(rule.id, rule.fingerprint, memory.symbol, memory.states[rule.id])
            for memory in self.symbols.values()
            for rule in memory.rules
            if rule.id in rule_ids and rule.id in memory.states
        ]
        left, _ = self._leftover.waiting()
        return known + [change for change in left if change.rule_id in rule_ids]

    def is_finished(self, rule: Rule) -> bool:
        """Whether `once` has ended a rule for every symbol that it can mean."""
        names = rule.selection.names(self.catalog)
        memories = [self.symbols.get(name) for name in names or ()]
        return bool(memories) and all(
            memory is not None and memory.states.get(rule.id, IDLE).ended for memory in memories
        )

    def rename_rules(self, names: Mapping[str, str], rules: Sequence[Rule]) -> None:
        """Follows rules to new ids, which are those of `rules`; their states stay as they are."""
        for memory in self.symbols.values():
            memory.rename(names)
        self._leftover.rename(names)
        self._dirty = {(names.get(key[0], key[0]), key[1]): on for key, on in self._dirty.items()}
        self._due = {(names.get(key[0], key[0]), key[1]): pair for key, pair in self._due.items()}
        self._set_rules(tuple(rules))

    def replace_catalog(self, catalog: Catalog) -> None:
        """Takes a newer catalog; a rule that no longer selects a symbol ends there silently."""
        self.catalog = catalog
        self._changes.ended += self._leftover.end_gone(catalog)
        for memory in self.symbols.values():
            self._select(memory)

    def about(self, symbol: str, catalog: Catalog) -> tuple[Rule, ...]:
        """The rules that select a symbol by a catalog, in the order of `rules`."""
        return self._index.for_symbol(symbol, catalog, funded=True)

    def changes(self, *, everything: bool = False) -> Changes:
        """What must be kept since the last call.

        Peaks and the like, which may be lost in a crash, are left for a call with `everything`.
        """
        changes, self._changes = self._changes, Changes()
        waiting: dict[tuple[str, str], bool] = {}
        for (rule_id, symbol), urgent in self._dirty.items():
            if not urgent and not everything:
                waiting[rule_id, symbol] = False
            elif rule_id in self._positions:
                fingerprint = self._rules[self._positions[rule_id]].fingerprint
                state = self.symbols[symbol].states.get(rule_id, IDLE)
                changes.states.append(StateChange(rule_id, fingerprint, symbol, state))
        self._dirty = waiting
        return changes

    def take_doubted(self) -> bool:
        """Whether a row contradicted the catalog since this was last asked: interval, trading."""
        doubted, self._doubted = self._doubted, False
        return doubted

    def look(self, rule: Rule, symbol: str) -> Look | None:
        """How a rule stands on a symbol, now and with its reason; None before its first tick."""
        memory = self.symbols.get(symbol)
        if memory is None:
            return None
        reading = self.reading(memory)
        state = memory.states.get(rule.id, IDLE)
        reason = step(rule, state, reading, self.stale_after).reason
        parts = explain(rule.condition, reading, state.sides)
        return Look(rule, state, reason, tuple(parts), reading)

    def reading(self, memory: SymbolMemory) -> Reading:
        """The fields of a symbol as of the clock."""
        stale = self.clock - memory.tick.event_time > self.stale_after
        return memory.reading(self.catalog, self.clock, by_tick=False, stale=stale)

    def read(self, tick: Tick, now: int) -> Reading:
        """The fields of a row that is looked at and not decided on."""
        stale = now - tick.event_time > self.stale_after
        return SymbolMemory(tick, 0).reading(self.catalog, now, by_tick=False, stale=stale)

    def _admit(self, tick: Tick) -> SymbolMemory | None:
        memory = self.symbols.get(tick.symbol)
        if memory is not None and tick.event_time <= memory.tick.event_time:
            self.repeated += 1
            return None
        self._move_clock(tick.event_time)
        if memory is None:
            memory = SymbolMemory(tick, len(self.symbols))
            self.symbols[tick.symbol] = memory
            self._wake(memory)
            return memory
        was_funded = memory.tick.next_funding_time > 0
        said = said_interval(self.catalog.funding.get(tick.symbol))
        self._doubted |= memory.take(tick, said)
        if was_funded != (tick.next_funding_time > 0) and self.catalog.contracts is None:
            self._select(memory)
        return memory

    def _wake(self, memory: SymbolMemory) -> None:
        """A symbol's first tick: its rules, and what an earlier run left of it."""
        states, samples = self._leftover.take(memory.symbol)
        memory.states = {saved.rule_id: saved.state for saved in states}
        self._select(memory)
        selected = {rule.id: rule for rule in memory.rules}
        for saved in states:
            if saved.rule_id in selected:
                self._follow(selected[saved.rule_id], memory, saved.state)
            else:
                del memory.states[saved.rule_id]
                self._changes.ended.append(ended_of(saved, self.catalog))
        memory.restore(samples)

    def _select(self, memory: SymbolMemory) -> None:
        funded = memory.tick.next_funding_time > 0
        now = self._index.for_symbol(memory.symbol, self.catalog, funded=funded)
        otherwise = self._index.for_symbol(memory.symbol, self.catalog, funded=not funded)
        ids = {rule.id for rule in now}
        self._end(memory, [rule for rule in memory.rules if rule.id not in ids])
        # What was known stays known, also while T = 0 keeps a rule from selecting the symbol.
        memory.select(now, (*now, *otherwise))
        self._funding_pairs = None

    def _end(self, memory: SymbolMemory, rules: Iterable[Rule]) -> None:
        for rule in rules:
            state = memory.states.pop(rule.id, None)
            self._due.pop((rule.id, memory.symbol), None)
            self._dirty.pop((rule.id, memory.symbol), None)
            if state is not None:
                saved = StateChange(rule.id, rule.fingerprint, memory.symbol, state)
                self._changes.ended.append(ended_of(saved, self.catalog))

    def _set_rules(self, rules: tuple[Rule, ...]) -> None:
        if self.clock:
            clock = self.clock
            rules = tuple(r if r.created_at else replace(r, created_at=clock) for r in rules)
        self._rules = rules
        self._positions = {rule.id: position for position, rule in enumerate(rules)}
        self._index = RuleIndex(rules)
        ends = [rule.ends_at for rule in rules if rule.ends_at is not None]
        self._next_end = min(ends, default=None)
        for memory in self.symbols.values():
            self._select(memory)
        kept = {rule.id: rule for rule in rules}
        self._due = {
            key: (kept[key[0]], memory) for key, (_, memory) in self._due.items() if key[0] in kept
        }

    def _move_clock(self, now: int) -> None:
        if not self.clock:  # `until D` of a replay counts from its first accepted tick
            self.clock = now
            self._set_rules(self._rules)
        self.clock = max(self.clock, now)
        if self._next_end is not None and self.clock >= self._next_end:
            over = {r.id for r in self._rules if r.ends_at is not None and r.ends_at <= self.clock}
            self._changes.expired += [rule.id for rule in self._rules if rule.id in over]
            self.retire(over)

    def _moved_by_time(self) -> list[tuple[Rule, SymbolMemory]]:
        if self._funding_pairs is None:
            self._funding_pairs = [
                (rule, memory)
                for memory in self.symbols.values()
                for rule in memory.rules
                if rule.mentions_funding
            ]
            self._funding_pairs.sort(key=self._order)
        if not self._due:
            return self._funding_pairs
        due = [pair for pair in self._due.values() if not pair[0].mentions_funding]
        return sorted([*self._funding_pairs, *due], key=self._order)

    def _order(self, pair: tuple[Rule, SymbolMemory]) -> tuple[int, int]:
        return self._positions[pair[0].id], pair[1].position

    def _evaluate(self, rule: Rule, memory: SymbolMemory, reading: Reading) -> Event | None:
        state = memory.states.get(rule.id, IDLE)
        return self._apply(rule, memory, reading, step(rule, state, reading, self.stale_after))

    def _pay(self, rule: Rule, memory: SymbolMemory, reading: Reading) -> Event | None:
        state = memory.states.get(rule.id, IDLE)
        return self._apply(rule, memory, reading, pay(rule, state, self.clock))

    def _apply(
        self, rule: Rule, memory: SymbolMemory, reading: Reading, result: Step
    ) -> Event | None:
        before, after = memory.states.get(rule.id, IDLE), result.state
        if after is not before:
            self._follow(rule, memory, after)
            key = (rule.id, memory.symbol)
            self._dirty[key] = self._dirty.get(key, False) or durable(before) != durable(after)
        if result.told is None:
            return None
        already = result.told is Kind.FIRED and memory.began_true(rule, result.episode.since)
        return event_of(rule, reading, result.told, result.episode, already=already)

    def _follow(self, rule: Rule, memory: SymbolMemory, state: State) -> None:
        memory.states[rule.id] = state
        key = (rule.id, memory.symbol)
        if state.phase is Phase.FIRING and (not state.told or rule.options.repeat):
            self._due[key] = (rule, memory)
        else:
            self._due.pop(key, None)
