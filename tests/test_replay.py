"""`fundingbot replay` and `check` as commands: what they print where, and how they end."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli import app
from tests.alerts.build import START

RULES = 'version: 1\nrules: [{name: hot, symbols: BTCUSDT, when: "rate > 0.1%"}]\n'
FUNDING_AT = START + 7_200_000


def line(second: int, rate: str) -> str:
    row = {
        "e": "markPriceUpdate", "E": START + second * 1000, "s": "BTCUSDT", "p": "100",
        "i": "100", "r": rate, "T": FUNDING_AT,
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@markPrice@1s", "data": row})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    lines = [line(0, "0.0001"), "{broken", '{"e":"aggTrade"}', line(1, "0.002"), line(2, "0")]
    (tmp_path / "a.txt").write_text("\ufeff" + "\r\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str, stdin: str = "") -> Result:
    rules = ["--rules", str(folder / "rules.yaml")]
    return CliRunner().invoke(app, ["replay", *arguments, *rules, "--json"], input=stdin)


def events(result: Result) -> list[tuple[str, int]]:
    found = [json.loads(each) for each in result.stdout.splitlines()]
    return [(each["event"], (each["at"] - START) // 1000) for each in found]


def test_events_go_to_one_output_and_what_was_passed_over_to_the_other(folder: Path) -> None:
    result = run(folder, str(folder / "a.txt"))
    assert result.exit_code == 0
    assert events(result) == [("fired", 1), ("resolved", 2)]
    assert "a.txt:2:" in result.stderr
    assert "3 rows of 1 symbols" in result.stderr
    assert "1 foreign, 1 broken" in result.stderr


def test_several_captures_are_one_stream_and_with_jobs_each_its_own(folder: Path) -> None:
    twice = [str(folder / "a.txt")] * 2
    assert events(run(folder, *twice)) == [("fired", 1), ("resolved", 2)]
    assert events(run(folder, *twice, "--jobs", "2")) == [("fired", 1), ("resolved", 2)] * 2


def test_a_capture_that_breaks_off_gives_what_came_before(folder: Path) -> None:
    whole = gzip.compress((folder / "a.txt").read_bytes(), mtime=0)
    cut = folder / "cut.gz"
    cut.write_bytes(whole[:-4])
    for arguments in ([str(cut)], [str(cut), "--jobs", "1"]):
        result = run(folder, *arguments)
        assert result.exit_code == 2
        assert events(result) == [("fired", 1), ("resolved", 2)]
        assert "cut.gz" in result.stderr


def test_an_event_time_beyond_the_calendar_is_no_end(folder: Path) -> None:
    result = run(folder, "-", stdin=line(10**20, "0.002") + "\n")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


def test_check_lists_every_problem_with_its_place(folder: Path) -> None:
    bad = folder / "bad.yaml"
    bad.write_text("version: 1\nrules:\n  - {name: a, symbol: B, when: rat > 1%}\n", "utf-8")
    result = CliRunner().invoke(app, ["check", str(folder / "rules.yaml"), str(bad)])
    assert result.exit_code == 1
    places = [each.removeprefix(f"{bad}:").split(":")[:2] for each in result.stdout.splitlines()]
    assert all(place[0] == "3" for place in places)
    assert len(places) >= 3
