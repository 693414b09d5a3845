"""What the engine remembers of one symbol: its last tick, its interval, its windows' history."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from bot.alerts.changes import SampleKept
from bot.alerts.lifecycle import Phase, State
from bot.market.catalog import Catalog, Funding
from bot.market.history import FINE_WINDOW, Series
from bot.market.number import Value
from bot.market.reading import DEFAULT_INTERVAL, HOUR, Reading, SeriesKey
from bot.market.tick import Tick
from bot.rules.expression import Check
from bot.rules.rule import Rule

# How early before T a row may already carry the next T and still tell of a settlement.
SETTLEMENT_TOLERANCE = 1_000  # ms


class SymbolMemory:
    """One symbol, from its first accepted tick on. `position` is its order of appearance."""

    def __init__(self, tick: Tick, position: int) -> None:
        self.symbol = tick.symbol
        self.position = position
        self.tick = tick
        self.first_time = tick.event_time
        self.rules: tuple[Rule, ...] = ()
        # Each rule with what tells that an idle one stays idle; None where it must be stepped.
        self.checks: tuple[tuple[Rule, Check | None], ...] = ()
        self.states: dict[str, State] = {}  # by rule id; idle ones without a past are left out
        self.series: dict[SeriesKey, Series] = {}
        self.awaiting: set[str] = set()  # ids of rules that are newer than the last tick
        self.advanced: dict[str, int] = {}  # by rule id: the clock's last evaluation since the tick
        self._first_after: dict[str, int] = {}
        self.observed_interval = 0  # ms, from the steps of T; 0: none was seen

    def take(self, tick: Tick, said_interval: int) -> bool:
        """Follows an accepted tick, which is newer than the last.

        True where T moved in a way that the catalog's interval (ms, 0: it says none) does not
        explain: another step, a move without a settlement, or a T that is there no more.
        """
        settled_at = self.tick.next_funding_time
        step = tick.next_funding_time - settled_at
        settled = settled_at > 0 and tick.event_time >= settled_at - SETTLEMENT_TOLERANCE
        if settled and 0 < step <= 8 * HOUR:
            self.observed_interval = step
        self.tick = tick
        self.advanced.clear()
        if self.awaiting:
            self._first_after.update(dict.fromkeys(self.awaiting, tick.event_time))
            self.awaiting.clear()
        if tick.next_funding_time == 0:
            return settled_at > 0  # what is no longer traded pays no funding
        moved = step != 0 and settled_at > 0
        return moved and said_interval > 0 and not (settled and step == said_interval)

    def reading(
        self, catalog: Catalog, now: int, *, by_tick: bool, stale: bool, clock: int = 0
    ) -> Reading:
        """The fields at `now`; `clock` is given where it may be ahead of that."""
        info = catalog.funding.get(self.symbol)
        return Reading(
            self.tick,
            now,
            by_tick=by_tick,
            stale=stale,
            clock=max(clock, now),
            interval=said_interval(info) or self.observed_interval or DEFAULT_INTERVAL,
            funding_info=info,
            series=self.series,
        )

    def turns_by_time(self, rule: Rule, clock: int, stale_after: int) -> bool:
        """Whether a rule can decide otherwise at `clock` than when it was last evaluated.

        It cannot where no threshold of `funding` and no staleness lies in between, and where the
        last evaluation left nothing to be done at the next one.
        """
        thresholds = rule.funding_thresholds
        if thresholds is None or rule.id in self.awaiting or not self._at_rest(rule):
            return True
        last = self.advanced.get(rule.id, self.tick.event_time)
        if last <= self.tick.event_time + stale_after < clock:
            return True
        until = self.tick.next_funding_time
        # A millisecond on either side: thresholds are rounded.
        return any(last - 1 <= until - threshold <= clock + 1 for threshold in thresholds)

    def _at_rest(self, rule: Rule) -> bool:
        state = self.states.get(rule.id)
        if state is None or state.phase in (Phase.PENDING, Phase.RECOVERING):
            return True
        return state.phase is Phase.FIRING and state.over is not True

    def began_true(self, rule: Rule, since: int) -> bool:
        """Whether an episode began with the first thing that the rule saw of this symbol."""
        return rule.id in self.awaiting or since == self._first_after.get(rule.id, self.first_time)

    def rename(self, names: Mapping[str, str]) -> None:
        """Follows rules to new ids."""
        self.states = {names.get(rule_id, rule_id): state for rule_id, state in self.states.items()}
        self.awaiting = {names.get(rule_id, rule_id) for rule_id in self.awaiting}
        self._first_after = {
            names.get(rule_id, rule_id): time for rule_id, time in self._first_after.items()
        }
        self.rules = self.checks = ()  # of the old ids; nothing ends by that

    def remember(self, reading: Reading) -> list[SampleKept]:
        """Adds what a reading knows to the history; returns the minute samples that it makes."""
        kept = []
        for (field, _), series in self.series.items():
            value = reading.value(field)
            if value is not None and series.add(reading.now, value) and series.coarse:
                kept.append(SampleKept(self.symbol, field, reading.now, str(value.exact)))
        return kept

    def samples(self, until: int) -> list[SampleKept]:
        """The minute samples up to a moment (ms)."""
        return [
            SampleKept(self.symbol, name, time, str(value.exact))
            for (name, coarse), series in self.series.items()
            if coarse
            for time, value in series.samples()
            if time <= until
        ]

    def select(self, rules: tuple[Rule, ...], looking_back: Sequence[Rule]) -> None:
        """Takes the rules that are about this symbol, and those whose history is to be kept."""
        self.rules = rules
        known = {rule.id for rule in looking_back}
        self.awaiting &= known
        self._first_after = {key: at for key, at in self._first_after.items() if key in known}
        self.checks = tuple(
            (rule, None if rule.condition.is_instant else rule.condition.check) for rule in rules
        )
        self._keep_history(looking_back)

    def _keep_history(self, rules: Iterable[Rule]) -> None:
        """Keeps just the history that these rules look back on; what is there already stays."""
        spans: dict[SeriesKey, int] = {}
        for rule in rules:
            for term in rule.windows:
                key = (term.field, term.window > FINE_WINDOW)
                spans[key] = max(spans.get(key, 0), term.window)
        for key, span in spans.items():
            if key not in self.series:
                self.series[key] = Series(span, coarse=key[1])
            self.series[key].span = max(span, self.series[key].span)
        self.series = {key: self.series[key] for key in spans}

    def restore(self, samples: Iterable[tuple[str, int, str]]) -> None:
        """Takes saved minute samples (field, time, exact text) of the coarse series, in order."""
        for field, time, text in samples:
            series = self.series.get((field, True))
            if series is not None and time < self.first_time:
                series.add(time, Value.of(Fraction(text)))


def said_interval(info: Funding | None) -> int:
    """The interval (ms) that the catalog says; 0 where it says none."""
    return info.interval_hours * HOUR if info is not None else 0
