"""The program's replay against the independent reading of the same text, on fixed seeds."""

import json
import sys
from pathlib import Path

import pytest

from bot.cli import main
from tests.reference.compare import RECORDED, difference, recorded_lines, write
from tests.reference.oracle import Event, run
from tests.reference.scenarios import Scenario, recorded, scenario


def replayed(
    scene: Scenario,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[Event]:
    monkeypatch.setattr(sys, "argv", ["fundingbot", "replay", *write(scene, folder), "--json"])
    with pytest.raises(SystemExit) as done:
        main()
    output = capsys.readouterr()
    assert done.value.code in (0, None), output.err
    return [json.loads(line) for line in output.out.splitlines()]


@pytest.mark.parametrize("seed", range(1000, 1030))
def test_a_random_capture_and_rule_file_tell_the_same_events(
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = scenario(seed, 40, 120)
    got = replayed(scene, tmp_path, monkeypatch, capsys)
    expected = run(scene.lines, scene.rules, scene.catalog)
    assert not (found := difference(expected, got, scene.rules)), found


@pytest.mark.parametrize("seed", range(4))
def test_random_rules_on_the_recorded_capture_tell_the_same_events(
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = recorded_lines()
    if lines is None:
        pytest.skip(f"{RECORDED} is absent: FUNDINGBOT_DATA names the folder that holds it")
    scene = recorded(seed, lines)
    got = replayed(scene, tmp_path, monkeypatch, capsys)
    expected = run(scene.lines, scene.rules, scene.catalog)
    assert not (found := difference(expected, got, scene.rules)), found
