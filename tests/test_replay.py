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


def control(second: int, kind: str, body: object) -> str:
    return f"{(START + second * 1000) * 1000} " + json.dumps({"fundingbot": {kind: body}})


def recording(*rules: dict[str, object]) -> list[str]:
    """A start with rules (none: no line of them), rows at 0, 1 and 2 s, the clock at 3 s."""
    whole = [control(0, "rules", {"add": rules})] if rules else []
    return [
        control(0, "head", {"recording": "a", "part": 0, "began": START}),
        control(0, "start", {"stale": 30_000}),
        *whole,
        control(0, "begin", {}),
        line(0, "0.0001"),
        line(1, "0.002"),
        line(2, "0"),
        control(3, "advance", START + 3_000),
    ]


OWN: dict[str, object] = {
    "id": "watch:ab",
    "name": "#1",
    "symbols": ["BTCUSDT"],
    "when": "rate > 0.15%",
}
QUICK: dict[str, object] = {**OWN, "when": "funding < 1h59m58s"}  # two seconds after the first row
OTHER = '{"e":"other"}'


def replayed(folder: Path, *captures: list[str], rules: bool, jobs: bool = False) -> Result:
    names = []
    for number, lines in enumerate(captures):
        path = folder / f"c{number}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        names.append(str(path))
    given = ["--rules", str(folder / "rules.yaml")] if rules else []
    more = ["--jobs", "2"] if jobs else []
    return CliRunner().invoke(app, ["replay", *names, *given, *more, "--json"])


def names_of(result: Result) -> list[str]:
    return [json.loads(each)["rule"] for each in result.stdout.splitlines()]


def test_a_recording_brings_its_rules_unless_others_are_given(folder: Path) -> None:
    own = replayed(folder, recording(OWN), rules=False)
    assert (own.exit_code, names_of(own)) == (0, ["#1", "#1"])
    assert "passed over;" not in own.stderr
    assert "obeyed: 1 starts, 1 moves of the clock" in own.stderr
    given = replayed(folder, recording(OWN), rules=True)
    assert (given.exit_code, names_of(given)) == (0, ["hot", "hot"])
    assert "own rules were passed over; leave out --rules to replay them" in given.stderr


@pytest.mark.parametrize("jobs", [False, True])
@pytest.mark.parametrize(
    "captures",
    [
        [recording()],
        [[line(0, "0.0001")]],
        [[OTHER]],
        [[line(0, "0.0001")], recording(OWN)],
    ],
)
def test_without_any_rules_it_says_what_to_do(
    folder: Path, captures: list[list[str]], *, jobs: bool
) -> None:
    result = replayed(folder, *captures, rules=False, jobs=jobs)
    assert result.exit_code == 2
    assert "c0.jsonl: holds no rules of its own; name a rules file with --rules FILE" in (
        result.stderr
    )


def test_each_file_has_a_clock_of_its_own_kind(folder: Path) -> None:
    plain = [line(3, "0"), line(4, "0")]
    mixed = replayed(folder, recording(QUICK), plain, rules=False)
    assert events(mixed) == [("fired", 3)]  # told by the recorded clock at 3 s, not by rows
    alone = recording(QUICK)[:-1]
    assert events(replayed(folder, alone, rules=False)) == []
    assert events(replayed(folder, alone, plain, rules=False)) == [("fired", 3)]
    twice = replayed(folder, plain, recording(QUICK), recording(OWN), rules=True)
    assert twice.exit_code == 0
    assert "2 starts" in twice.stderr


@pytest.mark.parametrize("other", [[line(2, "0")], [*recording(QUICK)[:1], *recording(QUICK)[4:]]])
def test_frames_that_do_not_all_come_are_decided_on_where_the_file_ends(
    folder: Path, other: list[str]
) -> None:
    lines = [*recording(OWN)[:5], control(1, "together", 2), line(1, "0.002")]
    alone = replayed(folder, lines, rules=False)
    assert events(alone) == [("fired", 1)]
    assert "frames that belong together are not all there" in alone.stderr
    assert events(replayed(folder, lines, other, rules=False)) == [("fired", 1), ("resolved", 2)]


def test_a_start_alone_has_no_time(folder: Path) -> None:
    again = [*recording(OWN), *recording(OWN)[1:4]]
    assert "1970" not in replayed(folder, again, rules=False).stderr


def test_control_lines_in_a_plain_capture_are_foreign(folder: Path) -> None:
    lines = [line(0, "0.0001"), *recording(OWN)[:4], line(1, "0.002"), line(2, "0")]
    result = replayed(folder, lines, rules=True)
    assert events(result) == [("fired", 1), ("resolved", 2)]
    assert "4 foreign" in result.stderr


def test_bad_control_lines_are_named_and_passed_over(folder: Path) -> None:
    lines = recording(OWN)
    lines[5:5] = [
        control(1, "advance", -1),
        control(1, "colour", 1),
        control(1, "colour", 2),
        '{"fundingbot":{"advance":',
        control(1, "missing", {"frames": 2, "decisions": 1}),
    ]
    result = replayed(folder, lines, rules=False)
    assert events(result) == [("fired", 1), ("resolved", 2)]
    assert 'c0.jsonl:6: the control line "advance" is malformed' in result.stderr
    assert "c0.jsonl:9: " in result.stderr
    assert result.stderr.count('"colour"') == 1
    assert "2 control lines of a newer version passed over" in result.stderr
    assert "2 broken" in result.stderr
    assert "missing: 2 frames, 1 decisions" in result.stderr


def test_check_lists_every_problem_with_its_place(folder: Path) -> None:
    bad = folder / "bad.yaml"
    bad.write_text("version: 1\nrules:\n  - {name: a, symbol: B, when: rat > 1%}\n", "utf-8")
    result = CliRunner().invoke(app, ["check", str(folder / "rules.yaml"), str(bad)])
    assert result.exit_code == 1
    places = [each.removeprefix(f"{bad}:").split(":")[:2] for each in result.stdout.splitlines()]
    assert all(place[0] == "3" for place in places)
    assert len(places) >= 3
