import json

import pytest

from bot.market.binance import decode_frame
from bot.simulator.distortions import DISTORTIONS, MALFORMED
from bot.simulator.faults import SWITCHES, Faults, described


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def faults(changes: list[str]) -> Faults:
    return Faults({"BTCUSDT", "ETHUSDT", "币安人生USDT"}, changes.append)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("silent", {"silent": ""}),
        ("refuse", {"refuse": "503"}),
        ("refuse=451", {"refuse": "451"}),
        ("clock-jump=-90000", {"clock-jump": "-90000"}),
        ("drop=BTCUSDT,ETHUSDT", {"drop": "BTCUSDT,ETHUSDT"}),
        ("delist=币安人生USDT", {"delist": "币安人生USDT"}),
        ("interval=BTCUSDT:1", {"interval": "BTCUSDT:1"}),
        ("silent=off", {}),
        ("lifetime=0.5", {"lifetime": "0.5"}),
        ("lifetime", {"lifetime": "30"}),
        ("lag=2", {"lag": "2"}),
        ("unlist=ETHUSDT", {"unlist": "ETHUSDT"}),
        ("cap=BTCUSDT:0.00375,ETHUSDT:0.02", {"cap": "BTCUSDT:0.00375,ETHUSDT:0.02"}),
        ("close=4000", {}),
        ("settle=7.5", {}),
        ("shutdown-notice", {}),
    ],
)
def test_a_switch_is_turned_by_its_name_and_value(
    faults: Faults, text: str, on: dict[str, str]
) -> None:
    faults.set_text(text)
    assert faults.on() == on


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slient", "no fault is called 'slient'; there are silent, black-hole"),
        ("slient=off", "no fault is called 'slient'"),
        ("silent=1", "fault silent: expected no value, got '1'"),
        ("refuse=often", "fault refuse: expected an HTTP status from 400 to 599, got 'often'"),
        ("drop=NOPE", "fault drop: expected SYMBOL"),
        ("drop", "fault drop: expected SYMBOL"),
        ("interval=BTCUSDT", "fault interval: expected SYMBOL:HOURS"),
        ("interval=BTCUSDT:3", "fault interval: expected SYMBOL:HOURS"),
        ("interval=NOPE:4", "fault interval: expected SYMBOL:HOURS"),
        ("refuse=200", "an HTTP status from 400 to 599, got '200'"),
        ("rest-down=600", "an HTTP status from 400 to 599, got '600'"),
        ("refuse=٥٠٣", "an HTTP status from 400 to 599"),
        ("close=1006", "fault close: expected a close code"),
        ("close=2000", "fault close: expected a close code"),
        ("accept-then-close=999", "fault accept-then-close: expected a close code"),
        ("retry-after=-1", "a whole number of seconds, got '-1'"),
        ("clock-jump=1.5", "a whole number of milliseconds, got '1.5'"),
        ("lifetime=0", "a number of seconds above 0, got '0'"),
        ("lag=-1", "a number of seconds above 0, got '-1'"),
        ("lag=soon", "a number of seconds above 0, got 'soon'"),
        ("settle=1e9", "a number of seconds above 0, got '1e9'"),
        ("cap=BTCUSDT", "fault cap: expected SYMBOL:CAP"),
        ("cap=BTCUSDT:3", "fault cap: expected SYMBOL:CAP"),
        ("cap=NOPE:0.003", "fault cap: expected SYMBOL:CAP"),
        ("unlist=", "fault unlist: expected SYMBOL"),
        ("disagree=btcusdt", "fault disagree: expected SYMBOL"),
    ],
)
def test_a_wrong_switch_says_what_was_expected_and_changes_nothing(
    faults: Faults, changes: list[str], text: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        faults.set_text(text)
    assert (faults.on(), changes) == ({}, [])


def test_each_change_is_told(faults: Faults, changes: list[str]) -> None:
    faults.set("silent")
    faults.set("refuse", 429)
    faults.clear()
    assert changes == ["silent", "refuse", "silent", "refuse"]
    assert "silent" not in faults


def test_a_deed_is_told_once_and_leaves_nothing_on(faults: Faults, changes: list[str]) -> None:
    faults.set("close", 1008)
    assert (faults.on(), changes) == ({}, ["close"])


def test_values_are_read_as_what_they_are(faults: Faults) -> None:
    faults.set("interval", "BTCUSDT:1,ETHUSDT:4")
    faults.set("drop", "BTCUSDT,ETHUSDT")
    faults.set("clock-jump", -5)
    faults.set("lag", 0.5)
    faults.set("cap", "BTCUSDT:0.00300,ETHUSDT:0.02")
    assert faults.intervals() == {"BTCUSDT": 1, "ETHUSDT": 4}
    assert faults.symbols("drop") == ["BTCUSDT", "ETHUSDT"]
    assert faults.number("clock-jump") == -5
    assert (faults.seconds("lag"), faults.seconds("lifetime", 86_400)) == (0.5, 86_400)
    assert faults.caps() == {"BTCUSDT": "0.00300", "ETHUSDT": "0.02"}
    assert faults.number("refuse") == 0
    assert faults.symbols("delist") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("repeat", ["1", "1", "2", "2"]), ("reorder", ["2", "1", "4", "3"])],
)
def test_frames_are_distorted(name: str, expected: list[str]) -> None:
    held: list[str] = []
    pushes = ["1", "2"] if name == "repeat" else ["1", "2", "3", "4"]
    sent = [frame for push in pushes for frame in DISTORTIONS[name]([push], held)]
    assert sent == expected


def test_every_distortion_is_a_switch() -> None:
    assert DISTORTIONS.keys() <= SWITCHES.keys()


@pytest.mark.parametrize("name", SWITCHES)
def test_every_default_is_a_value_of_its_switch(faults: Faults, name: str) -> None:
    switch = SWITCHES[name]
    if switch.default or not switch.value.sign:
        faults.set(name)
    else:
        with pytest.raises(ValueError, match=f"fault {name}: expected"):
            faults.set(name)


def test_every_switch_is_described_as_it_is_written() -> None:
    lines = dict(described())
    assert [name.partition("=")[0] for name in lines] == list(SWITCHES)
    assert lines["interval=SYMBOL:HOURS"].startswith("these pay at another interval")
    assert lines["lifetime=SECONDS"].endswith("(unless said: 30)")
    assert "silent" in lines


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_malformed_is_json_and_no_row(text: str) -> None:
    json.loads(text)
    assert decode_frame(text.encode()).ticks == ()
