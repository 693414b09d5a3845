"""A recording played into an engine: what entered the live one enters this one, in that order.

Pure: lines in, events out. A plain capture is played too: its clock is the greatest event time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bot.alerts.engine import Engine
from bot.alerts.event import Event
from bot.alerts.opening import Opening, carried, coming_back
from bot.alerts.recorded import (
    InForce,
    Start,
    read_body,
    samples_kept,
    state_changes,
)
from bot.market.binance import Frame
from bot.market.catalog import Catalog
from bot.market.recording import VERSION, Control, ControlError, Head, Missing, read_catalog
from bot.market.tick import Tick
from bot.rules.plain import RulesChange, changed, rule_of
from bot.rules.rule import Rule


class NoRulesError(Exception):
    """Rows are to be decided on and no rules are known: neither given nor recorded."""


@dataclass(slots=True)
class Played:
    """What was obeyed so far."""

    starts: int = 0
    advances: int = 0
    catalogs: int = 0
    rule_changes: int = 0
    rules_passed_over: int = 0  # recorded rules, because others are given
    missing: Missing = field(default_factory=lambda: Missing(0, 0))
    unknown: Counter[str] = field(default_factory=Counter)  # lines, by kind
    rows: int = 0  # decided on
    repeated: int = 0  # rows at or before their symbol's last event time
    skipped: Counter[str] = field(default_factory=Counter)  # recorded rows, by reason


@dataclass(slots=True)
class _Group:
    """Frame lines that belong together: how many are to come, and what those before held."""

    left: int
    decided: bool
    ticks: list[Tick] = field(default_factory=list)


class Playback:
    """One engine over several captures. `rules` None: those that the recordings hold.

    `say` is told of what makes the events doubtful.
    """

    def __init__(
        self, rules: tuple[Rule, ...] | None, catalog: Catalog, say: Callable[[str], object]
    ) -> None:
        self.engine = Engine(rules or (), catalog)
        self.played = Played()
        self.knows_rules = rules is not None
        self._given = rules
        self._book: tuple[Rule, ...] = ()  # the recorded rules as the live program had them
        self._adding: list[RulesChange] = []  # a change of the rules whose end is to come
        self._opening: Opening | None = None
        self._group: _Group | None = None
        self._file: Head | None = None  # of the file that is being played
        self._runs = False  # a recorded run has not said its end
        self._broken_off = True  # what is in force may be other than what the last line left
        self._say = say
        self._said: set[str] = set()
        self._repeated_before = 0  # by engines of earlier starts
        self._obey: Mapping[str, Callable[[Any], list[Event] | None]] = {
            "head": self._head,
            "start": self._open,
            "in_force": self._open,
            "begin": self._begin,
            "advance": self._advance,
            "anew": self._anew,
            "together": lambda count: self._expect(count, decided=True),
            "held": lambda count: self._expect(count, decided=False),
            "rows": self._rows,
            "catalog": self._catalog,
            "rules": self._rules,
            "states": self._states,
            "samples": self._samples,
            "end": lambda _: None,
            "missing": self._missing,
        }

    def plain(self, ticks: Sequence[Tick]) -> list[Event]:
        """A line of a capture that tells no time: decided on, then the clock follows its rows."""
        if not self.knows_rules:
            raise NoRulesError
        self._break_off()
        self._file = None
        events = self.engine.on_frame(ticks)
        events += self.engine.advance(self.engine.clock)
        self._count(len(ticks))
        self._let_go()
        return events

    def frame(self, ticks: Sequence[Tick]) -> list[Event]:
        """A frame line of a recording."""
        self._runs = True
        group = self._group
        if group is None:
            return self._decide(ticks)
        group.left -= 1
        if group.decided:
            group.ticks += ticks
        return self._grouped() if group.left == 0 else []

    def broken(self) -> list[Event]:
        """A line of a recording that cannot be read."""
        return self.frame(()) if self._group is not None else []

    def obey(self, control: Control) -> list[Event]:
        """A control line of a recording.

        Raises:
            ControlError: it is malformed, or does not fit what came before; nothing happened.
            NoRulesError: rows are to be decided on and no rules are known.
        """
        if control.kind not in self._obey:
            if not control.kind:
                raise ControlError("a control line holds one kind of thing")
            self.played.unknown[control.kind] += 1
            kind = msgspec.json.encode(control.kind[:40].encode(errors="replace").decode()).decode()
            self._once(f"control lines {kind} are of a newer version; passed over")
            return []
        body = _body(control)
        events = self.settle() + (self._obey[control.kind](body) or [])
        if control.kind != "head":
            self._runs = control.kind != "end"
        return events

    def finish(self) -> list[Event]:
        """There are no more lines."""
        events = self.settle()
        self._break_off()
        return events

    def settle(self) -> list[Event]:
        """Decides on frames that belong together although more of them were to come.

        To be asked where a file ends; a control line does so by itself.
        """
        if self._group is None:
            return []
        self._once("frames that belong together are not all there")
        return self._grouped()

    def _rows(self, frame: Frame) -> list[Event]:
        self.played.skipped.update(frame.skipped)
        return self._decide(frame.ticks)

    def _decide(self, ticks: Sequence[Tick]) -> list[Event]:
        if not self.knows_rules:
            raise NoRulesError
        if not ticks:
            return []
        events = self.engine.on_frame(ticks)
        self._count(len(ticks))
        return self._ended_once(events)

    def _advance(self, now: int) -> list[Event]:
        self.played.advances += 1
        return self._ended_once(self.engine.advance(now))

    def _anew(self, now: int) -> None:
        self.engine.begin_anew(now)

    def _ended_once(self, events: list[Event]) -> list[Event]:
        """As live: a rule that `once` has ended everywhere is no more."""
        told = {event.rule_id for event in events}
        rules = (rule for rule in self.engine.rules if rule.id in told) if told else ()
        finished = {r.id for r in rules if r.options.once and self.engine.is_finished(r)}
        if finished:
            self.engine.retire(finished)
        self._let_go()
        return events

    def _let_go(self) -> None:
        """What a live run would store: nobody stores it here."""
        self.engine.changes(everything=True)

    def _count(self, rows: int) -> None:
        self.played.rows += rows
        self.played.repeated = self._repeated_before + self.engine.repeated

    def _expect(self, count: int, *, decided: bool) -> None:
        self._group = _Group(count, decided)

    def _grouped(self) -> list[Event]:
        group, self._group = self._group, None
        return self._decide(group.ticks) if group is not None and group.decided else []

    def _head(self, head: Head) -> None:
        last, self._file = self._file, head
        same = last is not None and last.recording == head.recording
        if last is not None and same and head.part != last.part + 1:
            self._say(
                f"part {head.part} of a recording behind its part {last.part}: a part is missing "
                "or the order is wrong; the events may differ"
            )
            self._broken_off, self._runs = True, False
        elif not same:
            self._break_off()
            if head.part:
                self._say(
                    f"the recording is played from its part {head.part}: alerts that were on "
                    "before are told as new"
                )
        self._opening = None
        if head.version > VERSION:
            self._once("the recording was written by a newer version; lines may be passed over")

    def _break_off(self) -> None:
        """What follows does not go on with what was played."""
        if self._runs:
            self._say("the recording before this has no end; a second of it may be missing")
        self._broken_off, self._runs = True, False

    def _open(self, said: Start | InForce) -> None:
        if isinstance(said, Start) and self._runs:
            self._say("a start, and the run before it has no end; a second of it may be missing")
        self._opening = Opening(said, isinstance(said, Start) or self._broken_off)
        self._adding = []

    def _begin(self, _: object) -> None:
        opening, self._opening = self._opening, None
        if opening is None:
            raise ControlError('"begin" without a "start"')
        if opening.rules is not None:
            self.knows_rules = True
            self._book = opening.rules
        if not opening.obeyed:
            return
        self._broken_off = False
        if isinstance(opening.said, Start):
            self._start(opening, opening.said)
        else:
            self._follow(opening, opening.said)

    def _start(self, opening: Opening, said: Start) -> None:
        """A run began: with what the one before it had stored."""
        rules, states, samples = opening.rules or (), opening.states, opening.samples
        if self._given is not None or opening.rules is None:
            rules = coming_back(opening, self.engine, self._given)
            states, samples = carried(opening, self.engine)
        catalog = opening.catalog or self.engine.catalog
        self._repeated_before += self.engine.repeated
        self.engine = Engine(rules, catalog, stale_after=said.stale)
        crossings = {rule.id: rule.condition.crossings for rule in rules}
        fitting = [s for s in states if len(s.state.sides) in (0, crossings.get(s.rule_id, 0))]
        self.engine.restore(fitting, samples, said.alive_at)
        self.played.starts += 1

    def _follow(self, opening: Opening, said: InForce) -> None:
        """What holds in a file whose predecessor was not played, or behind a gap."""
        if 0 < said.clock < self.engine.clock:
            self.engine.begin_anew(said.clock)
        if opening.catalog is not None:
            self.engine.replace_catalog(opening.catalog)
        if opening.rules is not None and self._given is None:
            self.engine.replace_rules(opening.rules)
        self.engine.stale_after = said.stale

    def _catalog(self, catalog: Catalog) -> None:
        if self._opening is not None:
            self._opening.catalog = catalog
            return
        self.played.catalogs += 1
        self.engine.replace_catalog(catalog)

    def _rules(self, change: RulesChange) -> None:
        self._adding.append(change)
        if change.more:
            return
        first, *_ = changes = self._adding
        self._adding = []
        if self._opening is None and self._given is not None:
            self.played.rules_passed_over += 1
            return
        before = self._book if self._opening is None else ()
        try:
            added = [rule_of(data) for one in changes for data in one.add]
            rules = changed(before, first, added)
        except ValueError as error:
            raise ControlError(f'the control line "rules" is malformed: {error}') from None
        if self._opening is not None:
            self._opening.rules = rules
            self.played.rules_passed_over += bool(self._given is not None and rules)
            return
        self._book, self.knows_rules = rules, True
        self.played.rule_changes += 1
        if first.names is not None:
            self.engine.rename_rules(first.names, rules)
        else:
            self.engine.replace_rules(rules)

    def _states(self, saved: Any) -> None:
        self._opened("states").states += state_changes(saved)

    def _samples(self, saved: Any) -> None:
        self._opened("samples").samples += samples_kept(saved)

    def _opened(self, kind: str) -> Opening:
        if self._opening is None:
            raise ControlError(f'"{kind}" without a "start"')
        return self._opening

    def _missing(self, missing: Missing) -> None:
        known = self.played.missing
        self.played.missing = Missing(
            known.frames + missing.frames, known.decisions + missing.decisions
        )
        self._broken_off = True
        self._once("a part of what was decided on is missing; the events may differ")

    def _once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)


def _body(control: Control) -> object:
    if control.kind == "catalog":
        return read_catalog(control)
    return None if control.kind == "begin" else read_body(control)
