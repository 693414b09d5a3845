"""The engine: order, staleness, the clock, restarts, reloads."""

from dataclasses import replace
from typing import Any

import pytest

from bot.alerts.engine import Engine
from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.market.catalog import Catalog
from bot.rules.rule import Rule
from tests.alerts.build import START, T, rule, tick

HIGH, LOW = "0.002", "0.0001"
S = 1000


def engine(*rules: Rule, catalog: Catalog | None = None) -> Engine:
    return Engine(rules, catalog or Catalog())


def brief(events: list[Event]) -> list[str]:
    """`kind rule symbol second` of each event."""
    return [f"{e.kind} {e.rule} {e.symbol} {(e.at - START) // S}" for e in events]


def test_events_come_in_row_order_then_rule_order() -> None:
    live = engine(rule("rate > 0.1%", name="a", symbols="*"), rule("rate > 0.1%", name="b"))
    events = live.on_frame([tick(0, HIGH, "ETHUSDT"), tick(0, HIGH)])
    assert brief(events) == ["fired a ETHUSDT 0", "fired a BTCUSDT 0", "fired b BTCUSDT 0"]


def test_what_the_clock_brings_comes_in_rule_order_then_by_appearance() -> None:
    live = engine(
        rule("funding < 1h59m", name="a", symbols="*"),
        rule("rate > 0.1%", name="b", symbols="*", repeat=60 * S),
        rule("funding < 1h59m30s", name="c", symbols="*"),
    )
    live.on_frame([tick(0, HIGH, "ETHUSDT"), tick(0, HIGH)])
    assert brief(live.advance(START + 90 * S)) == [
        "fired a ETHUSDT 90",
        "fired a BTCUSDT 90",
        "fired c ETHUSDT 90",
        "fired c BTCUSDT 90",
    ]
    live.on_frame([tick(91, HIGH, "ETHUSDT")])
    assert brief(live.advance(START + 151 * S)) == []  # stale by more than 30 s: not reminded
    assert brief(live.on_frame([tick(152, HIGH, "ETHUSDT")])) == ["reminded b ETHUSDT 152"]


def test_a_row_at_or_before_the_last_event_time_is_dropped_and_counted() -> None:
    live = engine(rule("rate > 0.1%"))
    live.on_frame([tick(5)])
    assert live.on_frame([tick(5, HIGH), tick(4, HIGH)]) == []
    assert live.repeated == 2


def test_a_stale_row_fires_nothing_but_what_funding_alone_decides() -> None:
    live = engine(
        rule("rate > 0.1%", name="rate"),
        rule("funding < 3h or rate > 5%", name="either"),
        rule("funding < 3h and rate > 0.1%", name="both"),
    )
    events = live.on_frame([tick(40, LOW, "ETHUSDT"), tick(0, HIGH)])
    assert brief(events) == ["fired either BTCUSDT 0"]
    assert events[0].values == {"funding": 7200.0}


def test_funding_is_known_on_a_stale_symbol_until_it_has_passed() -> None:
    live = engine(rule("funding <= 0s", name="now"), rule("funding < 1m", name="soon"))
    live.on_frame([tick(7000)])
    assert brief(live.advance(START + 7150 * S)) == ["fired soon BTCUSDT 7150"]
    assert live.advance(T + 1) == []
    assert brief(live.on_frame([tick(7200, next_funding_time=T + 28_800_000)])) == []


def test_a_state_belongs_to_what_decides() -> None:
    first = rule("rate > 0.1%")
    live = engine(first)
    live.on_frame([tick(0, HIGH)])
    renoted = replace(first, options=replace(first.options, note="other"))
    live.replace_rules([renoted])
    assert live.on_frame([tick(1, HIGH)]) == []
    assert live.changes().ended == []
    live.replace_rules([rule("rate > 0.05%")])
    ended = live.changes().ended
    assert [(end.rule_id, end.fingerprint, end.state.told) for end in ended] == [
        (first.id, first.fingerprint, True)
    ]
    events = live.on_frame([tick(2, HIGH)])
    assert brief(events) == ["fired r BTCUSDT 2"]
    assert events[0].already


@pytest.mark.parametrize(("times", "already"), [([0], True), ([0, 1], False)])
def test_already_marks_what_was_true_at_the_first_tick(times: list[int], already: bool) -> None:
    live = engine(rule("rate > 0.1%"))
    events = (
        [event for at in times for event in live.on_frame([tick(at, HIGH if at else LOW)])]
        if not already
        else live.on_frame([tick(0, HIGH)])
    )
    assert [event.already for event in events] == [already]


def test_a_restart_repeats_nothing_and_tells_what_changed_meanwhile() -> None:
    rules = [rule("rate > 0.1%", symbols="*"), rule("rate crosses above 0.1%", name="x")]
    before = engine(*rules)
    before.on_frame([tick(0, HIGH), tick(0, HIGH, "ETHUSDT"), tick(0, LOW, "XRPUSDT")])
    saved = before.changes(everything=True)
    after = engine(*rules)
    after.restore(saved.states, saved.samples, START)
    events = after.on_frame(
        [tick(600, HIGH), tick(600, LOW, "ETHUSDT"), tick(600, HIGH, "XRPUSDT")]
    )
    assert brief(events) == ["resolved r ETHUSDT 600", "fired r XRPUSDT 600"]
    assert events[1].already


def test_a_crossing_over_a_restart_fires_at_the_first_tick() -> None:
    crossing = rule("rate crosses above 0.1%")
    before = engine(crossing)
    before.on_frame([tick(0, LOW)])
    saved = before.changes()
    after = engine(crossing)
    after.restore(saved.states, [], START)
    assert brief(after.on_frame([tick(600, HIGH)])) == ["fired r BTCUSDT 600"]


@pytest.mark.parametrize(("alive", "first", "told"), [(20, 41, True), (0, 41, False)])
def test_a_hold_goes_on_over_a_short_downtime(alive: int, first: int, told: bool) -> None:
    held = rule("rate > 0.1%", hold=40 * S)
    before = engine(held)
    before.on_frame([tick(0, HIGH)])
    saved = before.changes()
    after = engine(held)
    after.restore(saved.states, [], START + alive * S)
    assert bool(after.on_frame([tick(first, HIGH)])) is told


def test_minute_samples_survive_a_restart() -> None:
    climbing = rule("change(mark, 15m) > 1%")
    before = engine(climbing)
    for minute in range(15):
        before.on_frame([tick(minute * 60, mark="100")])
    saved = before.changes()
    assert len(saved.samples) == 15
    after = engine(climbing)
    after.restore(saved.states, saved.samples, START)
    assert brief(after.on_frame([tick(900, mark="102")])) == ["fired r BTCUSDT 900"]


def test_a_rule_of_an_earlier_run_that_is_gone_is_handed_out_as_ended() -> None:
    before = engine(rule("rate > 0.1%"))
    before.on_frame([tick(0, HIGH)])
    after = engine(rule("rate > 0.2%"))
    after.restore(before.changes().states, [], START)
    assert [end.rule_id for end in after.changes().ended] == ["file:r"]


def test_all_follows_the_last_row_where_nobody_knows_what_trades() -> None:
    live = engine(rule("|basis| > 1%", symbols="ALL"))
    assert brief(live.on_frame([tick(0, mark="102")])) == ["fired r BTCUSDT 0"]
    assert live.on_frame([tick(1, mark="102", next_funding_time=0)]) == []
    assert len(live.changes().ended) == 1
    assert brief(live.on_frame([tick(2, mark="102")])) == ["fired r BTCUSDT 2"]


def test_with_exchange_info_only_what_trades_is_selected() -> None:
    row = {"contractType": "PERPETUAL", "status": "TRADING"}
    info = {"symbols": [{"symbol": "BTCUSDT", **row}, {"symbol": "ETHUSDT", **row}]}
    live = engine(rule("rate > 0.1%", symbols="ALL"), catalog=Catalog().with_exchange_info(info))
    frame = [tick(0, HIGH), tick(0, HIGH, "ETHUSDT"), tick(0, HIGH, "DEADUSDT")]
    assert len(live.on_frame(frame)) == 2
    settling = {"symbols": [info["symbols"][0], {**info["symbols"][1], "status": "SETTLING"}]}
    live.replace_catalog(Catalog().with_exchange_info(settling))
    assert [end.symbol for end in live.changes().ended] == ["ETHUSDT"]
    assert live.on_frame([tick(1, LOW, "ETHUSDT")]) == []


def test_the_interval_is_said_by_the_catalog_else_learned_at_a_settlement() -> None:
    hour = 3_600_000
    cases = {
        "learned": ([(7199, T), (7200, T + 4 * hour)], 4),
        "a move without a settlement": ([(0, T), (1, T + 4 * hour)], 8),
        "a step over 8 h": ([(7200, T), (7201, T + 9 * hour)], 8),
        "a step back": ([(7200, T), (7201, T - hour)], 8),
    }
    for name, (rows, hours) in cases.items():
        live = engine(rule("interval > 0s"))
        events = [
            event
            for at, until in rows
            for event in live.on_frame([tick(at, next_funding_time=until)])
        ]
        memory = live.symbols["BTCUSDT"]
        interval = live.reading(memory).value("interval")
        assert interval is not None
        assert interval.exact == hours * hour, name
        assert len(events) == 1
    said = Catalog().with_funding_info([{"symbol": "BTCUSDT", "fundingIntervalHours": 1}])
    live = engine(rule("interval < 2h"), catalog=said)
    assert [event.values for event in live.on_frame([tick(0)])] == [{"interval": 1.0}]


@pytest.mark.parametrize("options", [{"until": START + 5 * S}, {"lifetime": 5 * S}])
def test_until_ends_the_rule_silently(options: dict[str, Any]) -> None:
    live = engine(rule("rate > 0.1%", **options))
    live.on_frame([tick(0, LOW)])
    assert live.on_frame([tick(5, HIGH)]) == []
    assert live.changes().expired == ["file:r"]
    assert live.rules == ()


def test_a_new_rule_is_already_true_at_the_first_tick_after_its_creation() -> None:
    live = engine()
    live.on_frame([tick(0, HIGH)])
    live.replace_rules([rule("rate > 0.1%"), rule("funding < 3h", name="f")])
    events = live.advance(START + 1 * S) + live.on_frame([tick(2, HIGH)])
    assert brief(events) == ["fired f BTCUSDT 1", "fired r BTCUSDT 2"]
    assert all(event.already for event in events)


def test_a_change_is_handed_out_once_and_peaks_only_on_demand() -> None:
    live = engine(rule("rate > 0.1%"))
    live.on_frame([tick(0, HIGH)])
    assert [change.state.told for change in live.changes().states] == [True]
    live.on_frame([tick(1, "0.003")])
    assert live.changes().states == []
    assert [change.state.peak for change in live.changes(everything=True).states] == [0.003]
    assert live.changes(everything=True).states == []


def test_a_look_says_why() -> None:
    watched = rule("rate > 0.1% and funding < 1h")
    live = engine(watched)
    assert live.look(watched, "BTCUSDT") is None
    live.on_frame([tick(0, HIGH)])
    look = live.look(watched, "BTCUSDT")
    assert look is not None
    assert look.reason == "not_met"
    assert [(part.text, part.truth) for part in look.parts] == [
        ("rate > 0.1%", True),
        ("funding < 1h", False),
    ]


def test_the_resolved_event_carries_the_episode() -> None:
    live = engine(rule("rate > 0.1%"))
    live.on_frame([tick(0, HIGH)])
    live.on_frame([tick(5, "0.004")])
    (event,) = live.on_frame([tick(60, LOW)])
    assert (event.kind, event.since, event.peak) == (Kind.RESOLVED, START, 0.004)


def test_a_hold_is_not_bridged_over_a_feed_that_was_silent_while_the_program_lived() -> None:
    held = rule("rate > 0.1%", hold=120 * S)
    before = engine(held)
    before.on_frame([tick(0, HIGH), tick(57, HIGH, "ETHUSDT")])
    before.on_frame([tick(28, HIGH)])
    saved = before.changes(everything=True)
    after = engine(held)
    after.restore(saved.states, [], START + 357 * S)
    assert after.on_frame([tick(365, HIGH)]) == []


def test_once_is_finished_when_each_named_symbol_has_told() -> None:
    both = rule("rate > 0.1%", symbols="BTCUSDT,ETHUSDT", once=True)
    live = engine(both)
    live.on_frame([tick(0, HIGH)])
    assert not live.is_finished(both)
    live.on_frame([tick(0, HIGH, "ETHUSDT")])
    assert live.is_finished(both)
    live.retire({both.id})
    assert live.rules == ()
    assert live.changes().ended == []


def test_what_is_on_can_be_listed() -> None:
    live = engine(rule("rate > 0.1%", symbols="*"), rule("rate > 1%", name="x"))
    live.on_frame([tick(0, HIGH), tick(0, LOW, "ETHUSDT")])
    assert [(rule_id, symbol) for rule_id, symbol, _ in live.on()] == [("file:r", "BTCUSDT")]
    assert list(live.on("file:x")) == []


def test_a_clock_that_was_an_hour_ahead_begins_anew_with_what_it_told() -> None:
    live = engine(
        rule("rate > 0.1%", name="on"),
        rule("rate > 0.1%", name="held", hold=10 * S),
        rule("rate < 0.01%", name="cooling", cooldown=600 * S),
    )
    hour = 3600
    live.on_frame([tick(hour, LOW)])
    assert brief(live.on_frame([tick(hour + 1, HIGH)])) == [f"fired on BTCUSDT {hour + 1}"]
    assert live.on_frame([tick(10, HIGH)]) == []  # the clock is right again: an old row
    live.changes(everything=True)
    live.begin_anew(START + 10 * S)
    assert live.clock == START + 10 * S
    assert live.on_frame([tick(11, HIGH)]) == []  # told already; the hold begins anew
    assert live.on_frame([tick(20, HIGH)]) == []
    assert brief(live.on_frame([tick(21, HIGH)])) == ["fired held BTCUSDT 21"]
    events = live.on_frame([tick(22, "0.0005")])
    assert sorted(brief(events)) == ["resolved held BTCUSDT 22", "resolved on BTCUSDT 22"]


def test_a_cooldown_does_not_last_longer_because_the_clock_was_ahead() -> None:
    live = engine(rule("rate > 0.1%", cooldown=60 * S))
    assert len(live.on_frame([tick(3600, HIGH)])) == 1
    live.on_frame([tick(3601, LOW)])
    live.begin_anew(START)
    assert live.on_frame([tick(1, LOW)]) == []
    assert live.on_frame([tick(2, HIGH)]) == []  # 60 s from the moment of going back
    assert brief(live.on_frame([tick(60, HIGH)])) == ["fired r BTCUSDT 60"]


def test_minute_samples_survive_a_clock_that_goes_back_but_not_those_from_the_future() -> None:
    live = engine(rule("change(rate, 1h) > 0.1%"))
    for minute in range(62):
        live.on_frame([tick(minute * 60, LOW)])
    live.on_frame([tick(62 * 60 + 90, "0.0003")])
    live.changes(everything=True)
    live.begin_anew(START + 62 * 60 * S)
    assert brief(live.on_frame([tick(63 * 60, HIGH)])) == ["fired r BTCUSDT 3780"]
