"""A recording is obeyed line by line; what is malformed, unknown or missing is said."""

from typing import Any

import msgspec
import pytest

from bot.alerts.changes import Changes, SampleKept, StateChange
from bot.alerts.lifecycle import Phase, State
from bot.alerts.playback import NoRulesError, Playback
from bot.alerts.recorded import (
    PORTION,
    InForce,
    Start,
    read_body,
    rules_bodies,
    samples_bodies,
    samples_kept,
    state_changes,
    states_bodies,
)
from bot.market.catalog import Catalog
from bot.market.recording import Control, ControlError, Head, Missing
from bot.rules.plain import PlainRule, RulesChange, plain
from bot.rules.rule import Rule
from tests.alerts.build import START, rule, tick

HIGH, LOW = "0.002", "0.0001"
HOT = rule("rate > 0.1%", name="hot")
COLD = rule("rate < 0.05%", name="cold")
WATCH = msgspec.structs.replace(plain(HOT, str), id="watch:ab", name="#1")


def same(rule_id: str) -> str:
    return rule_id


def control(kind: str, body: object) -> Control:
    return Control(kind, msgspec.json.encode(body))


class Tape:
    """A playback and what it said; lines are played as they are named."""

    def __init__(self, *rules: Rule, given: bool = False) -> None:
        self.said: list[str] = []
        self.playback = Playback(rules if given else None, Catalog(), self.said.append)
        if not given:
            self.start(*rules)

    def play(self, kind: str, body: object) -> list[str]:
        events = self.playback.obey(control(kind, body))
        return [f"{event.kind} {event.rule}" for event in events]

    def start(self, *rules: Rule, **more: object) -> None:
        self.play("start", Start(30_000, **more))  # type: ignore[arg-type]
        self.rules(*rules)
        self.play("begin", {})

    def rules(self, *rules: Rule) -> None:
        self.play("rules", RulesChange(add=[plain(one, same) for one in rules]))

    def frame(self, at: int, rate: str, symbol: str = "BTCUSDT") -> list[str]:
        events = self.playback.frame([tick(at, rate, symbol)])
        return [f"{event.kind} {event.rule}" for event in events]


def test_the_clock_moves_as_it_is_told() -> None:
    tape = Tape(rule("funding < 1h59m", name="soon"))
    tape.frame(0, LOW)
    assert tape.frame(30, LOW) == []
    assert tape.play("advance", START + 59_000) == []
    assert tape.play("advance", START + 61_000) == ["fired soon"]


def test_frames_of_one_batch_are_decided_on_together() -> None:
    tape = Tape(rule("rate > 0.1%", name="hot", symbols="ALL"))
    tape.play("together", 2)
    assert tape.frame(0, HIGH) == []
    assert tape.frame(0, HIGH, "ETHUSDT") == ["fired hot", "fired hot"]


def test_frames_that_are_held_wait_for_the_rows_behind_them() -> None:
    tape = Tape(HOT)
    tape.play("held", 2)
    assert tape.frame(0, HIGH) == tape.frame(1, HIGH) == []
    assert tape.playback.engine.symbols == {}
    assert tape.play("rows", [tick(1, HIGH)]) == ["fired hot"]
    assert tape.playback.played.rows == 1


def test_frames_that_do_not_all_come_are_said_and_decided_on() -> None:
    tape = Tape(HOT)
    tape.play("together", 3)
    tape.frame(0, LOW)
    assert tape.playback.broken() == []
    assert tape.play("advance", START + 1) == []
    assert "BTCUSDT" in tape.playback.engine.symbols
    assert tape.said == ["frames that belong together are not all there"]


def test_frames_that_are_still_to_come_at_the_end_are_said_and_decided_on() -> None:
    tape = Tape(HOT)
    tape.play("together", 3)
    tape.frame(0, HIGH)
    assert [event.rule for event in tape.playback.settle()] == ["hot"]
    assert tape.playback.settle() == []
    assert tape.said == ["frames that belong together are not all there"]


def test_recorded_rows_have_the_limits_of_the_stream() -> None:
    tape = Tape(rule("funding < 1h", name="soon"))
    good = tick(1, HIGH)
    change = msgspec.structs.replace
    rows = [change(good, event_time=time) for time in (0, -5, 1 << 60)]
    rows += [change(good, symbol=""), change(good, margin=2)]
    assert tape.play("rows", rows[:2] + rows[3:]) == []
    assert tape.playback.played.skipped == {"incomplete": 3, "coin-m": 1}
    huge = b'[{"e":"markPriceUpdate","s":"BTCUSDT","E":5,"r":"1","T":1%b}]' % (b"0" * 400)
    tape.playback.obey(Control("rows", huge))
    assert tape.playback.engine.symbols["BTCUSDT"].tick.next_funding_time == 0


def test_nothing_of_what_was_played_is_kept_for_a_store() -> None:
    tape = Tape(rule("change(rate, 30m) > 5%", name="moved"), HOT)
    for minute in range(30):
        tape.frame(minute * 60, HIGH)
        tape.playback.plain([tick(minute * 60 + 30, HIGH)])
        assert tape.playback.engine.changes() == Changes()


def test_a_state_of_another_rule_of_that_id_is_no_end() -> None:
    one = msgspec.structs.replace(WATCH, when="rate crosses 0.1%")
    two = msgspec.structs.replace(WATCH, id="watch:cd", when="rate crosses 0.1% and mark crosses 5")
    tape = Tape()
    tape.play("rules", RulesChange(add=[one]))
    tape.frame(0, LOW)
    tape.play("rules", RulesChange(add=[two], names={"watch:ab": "watch:cd"}))
    assert tape.frame(1, HIGH) == []


def test_a_renaming_of_nothing_keeps_states_that_a_change_ends() -> None:
    """As live: rules that decide otherwise under their old ids lose their states in a change."""
    for names, expected in ((None, ["fired #1"]), ({}, [])):
        tape = Tape()
        tape.play("rules", RulesChange(add=[WATCH]))
        assert tape.frame(0, HIGH) == ["fired #1"]
        other = msgspec.structs.replace(WATCH, when="rate > 0.11%")
        tape.play("rules", RulesChange(add=[other], names=names))
        assert tape.frame(1, HIGH) == expected


def test_rules_change_where_it_is_said() -> None:
    tape = Tape(HOT)
    tape.frame(0, LOW)
    tape.play("rules", RulesChange(at=1, drop=0, add=[plain(COLD, same)]))
    assert tape.frame(1, LOW) == ["fired cold"]
    tape.play("rules", RulesChange(at=1, drop=1, add=[], more=True))
    assert [one.name for one in tape.playback.engine.rules] == ["hot", "cold"]
    tape.play("rules", RulesChange(add=[WATCH]))
    assert [one.name for one in tape.playback.engine.rules] == ["hot", "#1"]
    assert tape.frame(2, HIGH) == ["fired hot", "fired #1"]


def test_a_renamed_rule_keeps_its_state() -> None:
    tape = Tape()
    tape.play("rules", RulesChange(add=[WATCH]))
    assert tape.frame(0, HIGH) == ["fired #1"]
    other = msgspec.structs.replace(WATCH, id="watch:cd")
    tape.play("rules", RulesChange(drop=1, add=[other], names={"watch:ab": "watch:cd"}))
    assert tape.frame(1, LOW) == ["resolved #1"]


NO_END = "has no end; a second of it may be missing"


def test_a_run_without_an_end_is_said_at_each_place() -> None:
    tape = Tape(HOT)
    tape.frame(0, LOW)
    tape.start(HOT)
    assert tape.said == [f"a start, and the run before it {NO_END}"]
    tape.play("end", {})
    tape.start(HOT)
    tape.play("end", {})
    assert tape.playback.finish() == []
    assert len(tape.said) == 1
    tape.start(HOT)
    tape.play("head", Head("other", 0, START))
    assert tape.said[1:] == [f"the recording before this {NO_END}"]
    tape.start(HOT)
    tape.playback.plain([tick(1)])
    tape.start(HOT)
    tape.playback.finish()
    assert tape.said[2:] == [f"the recording before this {NO_END}"] * 2


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([0, 1, 2], []),
        ([1, 2], ["from its part 1:"]),
        ([0, 2], ["part 2 of a recording behind its part 0: a part is missing or"]),
        ([0, 2, 1], ["part 2 of", "part 1 of a recording behind its part 2"]),
    ],
)
def test_a_missing_part_and_a_wrong_order_are_said(parts: list[int], words: list[str]) -> None:
    tape = Tape()
    tape.play("end", {})
    for part in parts:
        tape.play("head", Head("ab", part, START))
        tape.play("in_force", InForce(30_000))
        tape.play("begin", {})
        tape.play("advance", START)
        tape.play("end", {"next": part + 1})
    tape.playback.finish()
    assert len(tape.said) == len(words)
    assert all(word in said for word, said in zip(words, tape.said, strict=True))


def test_a_change_of_the_rules_follows_what_a_file_says_is_in_force() -> None:
    """A rule that has run out live is still in the list of the last change, not in this one."""
    tape = Tape(COLD, HOT)
    tape.play("head", Head("ab", 1, START))
    tape.play("in_force", InForce(30_000))
    tape.rules(HOT)
    tape.play("begin", {})
    tape.play("rules", RulesChange(at=1, drop=0, add=[WATCH]))
    assert [one.name for one in tape.playback.engine.rules] == ["hot", "#1"]


@pytest.mark.parametrize(("clock", "expected"), [(START, ["fired hot"]), (0, [])])
def test_a_clock_that_went_back_in_a_gap_stands_in_what_is_in_force(
    clock: int, expected: list[str]
) -> None:
    tape = Tape(HOT)
    tape.frame(3_600, LOW)
    tape.play("missing", Missing(1, 1))
    tape.play("in_force", InForce(30_000, clock))
    tape.play("begin", {})
    assert tape.playback.engine.clock == (clock or START + 3_600_000)
    assert tape.frame(5, HIGH) == expected


def test_a_catalog_counts_from_where_it_stands() -> None:
    tape = Tape(rule("rate8h > 0.1%", name="hot"))
    tape.frame(0, "0.0005")
    hourly = {"symbol": "BTCUSDT", "fundingIntervalHours": 1}
    assert tape.play("catalog", {"fundingInfo": [hourly]}) == []
    assert tape.frame(1, "0.0005") == ["fired hot"]


def test_a_start_goes_on_with_what_was_stored() -> None:
    tape = Tape(HOT)
    assert tape.frame(0, HIGH) == ["fired hot"]
    state = State(Phase.FIRING, since=START, told=True, fired_at=START, told_at=START)
    changes = [StateChange(HOT.id, HOT.fingerprint, "BTCUSDT", state)]
    for stored, expected in ((changes, []), ([], ["fired hot"])):
        tape.play("start", Start(30_000, START))
        tape.rules(HOT)
        for body in states_bodies(stored, same):
            tape.play("states", body)
        tape.play("begin", {})
        assert tape.frame(5, HIGH) == expected
    assert tape.playback.played.starts == 3


@pytest.mark.parametrize("given", [False, True])
def test_a_start_brings_the_samples_of_long_windows(*, given: bool) -> None:
    up = rule("change(mark, 20m) > 1%", name="up")
    tape = Tape(up, given=given)
    tape.play("start", Start(30_000))
    tape.rules(up)
    for body in samples_bodies([SampleKept("BTCUSDT", "mark", START - 1_200_000, "100")]):
        tape.play("samples", body)
    tape.play("begin", {})
    events = tape.playback.frame([tick(0, mark="102")])
    assert [event.rule for event in events] == ["up"]


def test_the_stale_setting_of_the_start_counts() -> None:
    tape = Tape()
    tape.play("start", Start(5_000))
    tape.rules(rule("rate > 0.1%", name="hot", repeat=6_000))
    tape.play("begin", {})
    assert tape.frame(0, HIGH) == ["fired hot"]
    assert tape.play("advance", START + 6_000) == []


def test_once_ends_a_rule_as_it_does_live() -> None:
    tape = Tape(rule("rate > 0.1%", name="hot", once=True))
    tape.frame(0, HIGH)
    assert tape.playback.engine.rules == ()


def in_force(tape: Tape, *rules: Rule) -> None:
    tape.play("in_force", InForce(30_000))
    tape.rules(*rules)
    tape.play("begin", {})


@pytest.mark.parametrize(
    ("head", "obeyed"),
    [
        (Head("a", 1, 0), False),
        (Head("a", 2, 0), True),
        (Head("a", 0, 0), True),
        (Head("b", 1, 0), True),
    ],
)
def test_what_is_in_force_is_obeyed_only_where_the_file_before_is_not_played(
    head: Head, *, obeyed: bool
) -> None:
    tape = Tape()
    tape.play("head", Head("a", 0, 0))
    tape.start(HOT)
    tape.play("head", head)
    in_force(tape, COLD)
    names = [one.name for one in tape.playback.engine.rules]
    assert names == (["cold"] if obeyed else ["hot"])


def test_after_a_gap_what_is_in_force_is_obeyed_and_the_gap_is_said() -> None:
    tape = Tape()
    tape.play("end", {})
    tape.play("head", Head("a", 0, 0))
    tape.start(HOT)
    tape.play("missing", Missing(3, 2))
    in_force(tape, COLD)
    tape.play("missing", Missing(1, 0))
    assert [one.name for one in tape.playback.engine.rules] == ["cold"]
    assert tape.playback.played.missing == Missing(4, 2)
    assert len(tape.said) == 1


def test_given_rules_pass_the_recorded_ones_over() -> None:
    tape = Tape(HOT, given=True)
    tape.start(COLD)
    tape.play("rules", RulesChange(add=[WATCH]))
    assert tape.frame(0, HIGH) == ["fired hot"]
    assert tape.playback.played.rules_passed_over == 2
    tape.start(COLD)
    assert tape.frame(1, HIGH) == []
    assert tape.frame(2, LOW) == ["resolved hot"]


def test_given_rules_keep_their_history_over_a_start() -> None:
    given = rule("change(mark, 20m) > 1%", name="up")
    tape = Tape(given, given=True)
    tape.start(COLD)
    tape.playback.frame([tick(0, mark="100")])
    tape.start(COLD)
    events = tape.playback.frame([tick(1200, mark="102")])
    assert [event.rule for event in events] == ["up"]


def test_given_rules_keep_what_waits_for_a_symbol_over_several_starts() -> None:
    tape = Tape(rule("rate > 0.1%", name="hot"), given=True)
    tape.start(COLD)
    tape.frame(0, HIGH)
    tape.start(COLD)
    tape.frame(1, LOW, "ETHUSDT")
    tape.start(COLD)
    assert tape.frame(2, HIGH) == []
    assert tape.frame(3, LOW) == ["resolved hot"]


def test_without_any_rules_nothing_is_decided() -> None:
    tape = Tape(given=True)
    tape.playback = Playback(None, Catalog(), tape.said.append)
    tape.play("start", Start(30_000))
    tape.play("begin", {})
    assert tape.play("advance", START) == []
    with pytest.raises(NoRulesError):
        tape.frame(0, HIGH)
    with pytest.raises(NoRulesError):
        tape.playback.plain([tick()])


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("", {}, "one kind of thing"),
        ("begin", {}, '"begin" without a "start"'),
        ("states", [], '"states" without a "start"'),
        ("samples", {"symbol": "A", "field": "mark", "at": [], "values": []}, "without a"),
        ("advance", "soon", '"advance" is malformed'),
        ("start", {}, '"start" is malformed'),
        ("catalog", {"symbols": 7}, '"catalog" is malformed'),
        ("rules", {"at": 5}, '"rules" is malformed: .*not there'),
        ("rules", {"add": [{"id": "x", "name": "x", "symbols": [], "when": "?"}]}, "rule x: "),
        ("rules", {"add": 5}, '"rules" is malformed'),
        ("rules", {"add": [WATCH, WATCH]}, "two rules have one id"),
        ("rows", {"s": "BTCUSDT", "E": 1}, '"rows" is malformed'),
        ("together", 10**30, '"together" is malformed'),
    ],
)
def test_what_cannot_be_obeyed_changes_nothing(kind: str, body: Any, words: str) -> None:
    tape = Tape(HOT)
    with pytest.raises(ControlError, match=words):
        tape.play(kind, body)
    assert tape.frame(0, HIGH) == ["fired hot"]


def test_kinds_of_a_newer_version_are_counted_and_said_once() -> None:
    tape = Tape(HOT)
    for _ in range(3):
        assert tape.play("colour", "red") == []
    assert tape.playback.played.unknown == {"colour": 3}
    assert tape.said == ['control lines "colour" are of a newer version; passed over']
    tape.play("end", {})
    tape.play("head", {"recording": "a", "part": 0, "began": 0, "version": 9, "more": True})
    assert "newer version" in tape.said[1]


def test_a_plain_capture_goes_on_with_what_is_in_force() -> None:
    tape = Tape(rule("funding < 1h59m", name="soon"))
    assert [event.rule for event in tape.playback.plain([tick(61)])] == ["soon"]


# Portions


def read(kind: str, body: object) -> Any:
    return read_body(control(kind, body))


@pytest.mark.parametrize("count", [0, 1, PORTION, PORTION + 1, 3 * PORTION])
def test_many_rules_make_several_lines_that_become_true_at_once(count: int) -> None:
    rules = [PlainRule(f"file:{n}", str(n), ["BTC"], "rate > 1%") for n in range(count)]
    bodies = [read("rules", body) for body in rules_bodies(RulesChange(at=3, drop=1), iter(rules))]
    assert [one for body in bodies for one in body.add] == rules
    assert [body.more for body in bodies] == [True] * (len(bodies) - 1) + [False]
    assert (bodies[0].at, bodies[0].drop) == (3, 1)
    assert all(len(body.add) <= PORTION for body in bodies)


def test_rules_of_many_symbols_make_short_lines() -> None:
    rules = [PlainRule(str(n), str(n), ["BTCUSDT"] * 1000, "rate > 1%") for n in range(50)]
    assert all(len(body.add) <= 20 for body in rules_bodies(RulesChange(), iter(rules)))


def test_states_and_samples_read_back() -> None:
    states = [
        StateChange(f"watch:{n}", "f", "S", State(Phase.PENDING, since=n, sides=(1, None)))
        for n in range(PORTION + 3)
    ]
    bodies = [read("states", body) for body in states_bodies(states, lambda one: f"{one}!")]
    again = [change for body in bodies for change in state_changes(body)]
    assert [change.rule_id for change in again] == [f"{one.rule_id}!" for one in states]
    assert [change.state for change in again] == [one.state for one in states]
    samples = [
        SampleKept(symbol, field, time * 60_000, f"{time}/7")
        for time in (2, 1)
        for symbol in ("A", "B")
        for field in ("mark", "rate")
    ]
    kept = [one for body in samples_bodies(samples) for one in samples_kept(read("samples", body))]
    assert sorted(kept, key=str) == sorted(samples, key=str)


@pytest.mark.parametrize(
    ("at", "values"),
    [
        ([1], []),
        ([1, 2], ["1"]),
        *(([1], [text]) for text in ("x", "1/0", "1e400", "1.5", "1" + "0" * 251, "9" * 2_001)),
        ([1], ["1/1" + "0" * 251]),
    ],
)
def test_samples_that_are_none_are_named(at: list[int], values: list[str]) -> None:
    body = {"symbol": "A", "field": "mark", "at": at, "values": values}
    with pytest.raises(ControlError, match='"samples" is malformed'):
        samples_kept(read("samples", body))
