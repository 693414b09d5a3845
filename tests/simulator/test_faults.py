import pytest

from bot.simulator.distortions import DISTORTIONS
from bot.simulator.faults import SWITCHES, Faults


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
    assert faults.intervals() == {"BTCUSDT": 1, "ETHUSDT": 4}
    assert faults.symbols("drop") == ["BTCUSDT", "ETHUSDT"]
    assert faults.number("clock-jump") == -5
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
