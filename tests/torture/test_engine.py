"""The program's replay against the independent reference, over hundreds of seeds."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli import main
from tests.reference.compare import difference, write
from tests.reference.oracle import run
from tests.reference.scenarios import scenario

BLOCK = 50  # seeds of a test
Report = Callable[[str, object], None]


@pytest.mark.parametrize(
    ("first", "count"),
    [
        (5_000, 3),
        *(
            pytest.param(first, BLOCK, marks=[pytest.mark.torture, pytest.mark.timeout(3_600)])
            for first in range(10_000, 10_000 + 12 * BLOCK, BLOCK)
        ),
    ],
)
def test_random_captures_and_rule_files_tell_the_same_events(
    first: int,
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Report,
) -> None:
    events, differing = 0, []
    for seed in range(first, first + count):
        scene = scenario(seed)
        monkeypatch.setattr(
            sys, "argv", ["fundingbot", "replay", *write(scene, tmp_path), "--json"]
        )
        with pytest.raises(SystemExit) as done:
            main()
        output = capsys.readouterr()
        assert done.value.code in (0, None), (seed, output.err)
        expected = run(scene.lines, scene.rules, scene.catalog)
        events += len(expected)
        got = [json.loads(line) for line in output.out.splitlines()]
        if found := difference(expected, got, scene.rules):
            differing.append(f"seed {seed}:\n{found}")
    record_property(
        "summary",
        f"seeds {first} to {first + count - 1}: {events} events, {len(differing)} seeds differ",
    )
    assert not differing, "\n".join(differing)
