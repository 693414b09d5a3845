"""Compares `fundingbot replay --json` with the reference implementation on random scenarios.

    python tests/reference/compare.py --seeds 0-50
    python tests/reference/compare.py --seeds 0-50 --recorded

The files of a seed that differs are kept, and its folder is named. Exit 1 on any difference.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # so that it runs as a script too

from tests.reference.oracle import Event, run  # noqa: E402 - the path comes first
from tests.reference.scenarios import Scenario, recorded, scenario  # noqa: E402 - likewise

RECORDED = "btcusdt-markprice-1s-2023-04-05.txt"


def recorded_lines() -> list[bytes] | None:
    """The recorded capture's lines, None where the data is absent."""
    folder = Path(os.environ.get("FUNDINGBOT_DATA", ROOT / "../shared/data"))
    path = folder / RECORDED
    return path.read_bytes().splitlines() if path.is_file() else None


def write(scene: Scenario, folder: Path) -> list[str]:
    """Writes a scenario's files; gives the arguments of `replay` that name them."""
    capture, rules = folder / "capture.txt", folder / "rules.yaml"
    capture.write_bytes(b"".join(line + b"\n" for line in scene.lines))
    rules.write_text(scene.rules, "utf-8")
    arguments = [str(capture), "--rules", str(rules)]
    for number, saved in enumerate(catalog_files(scene)):
        path = folder / f"catalog-{number}.json"
        path.write_text(json.dumps(saved, ensure_ascii=False), "utf-8")
        arguments += ["--catalog", str(path)]
    return arguments


def catalog_files(scene: Scenario) -> list[Any]:
    """A catalog in one of the forms that `--catalog` takes."""
    if scene.catalog is None:
        return []
    if "exchangeInfo" in scene.catalog and scene.start % 2:
        return [scene.catalog]
    return list(scene.catalog.values())


def program(arguments: list[str]) -> list[Event]:
    """The events that the program prints.

    Raises:
        RuntimeError: it failed, with what it said.
    """
    command = [sys.executable, "-m", "bot", "replay", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def same(expected: Event, got: Event) -> bool:
    """Equal objects, floats to 1e-12 of their size."""
    plain = [key for key in expected if key != "values"]
    if expected.keys() != got.keys() or any(expected[key] != got[key] for key in plain):
        return False
    ours, theirs = expected["values"], got["values"]
    return ours.keys() == theirs.keys() and all(
        math.isclose(ours[name], theirs[name], rel_tol=1e-12) for name in ours
    )


def difference(expected: list[Event], got: list[Event], rules: str) -> str:
    """The first difference in words, with the rule and what came before; empty where none is."""
    for number in range(max(len(expected), len(got))):
        ours = expected[number] if number < len(expected) else None
        theirs = got[number] if number < len(got) else None
        if ours is not None and theirs is not None and same(ours, theirs):
            continue
        names = {event["rule"] for event in (ours, theirs) if event}
        told = [f"    {json.dumps(event)}" for event in expected[max(0, number - 3) : number]]
        wanted = [json.dumps(rule) for rule in json.loads(rules)["rules"] if rule["name"] in names]
        return "\n".join(
            [
                f"  event {number} of {len(expected)} (reference) and {len(got)} (program)",
                *[f"    {rule}" for rule in wanted],
                f"    defaults {json.loads(rules).get('defaults')}",
                "  the same until then:",
                *told,
                f"  reference: {json.dumps(ours, ensure_ascii=False)}",
                f"  program:   {json.dumps(theirs, ensure_ascii=False)}",
            ]
        )
    return ""


def scenes(first: int, last: int, *, with_recorded: bool) -> Iterator[tuple[int, Scenario]]:
    lines = recorded_lines() if with_recorded else None
    if with_recorded and lines is None:
        raise SystemExit(f"{RECORDED} is absent: set FUNDINGBOT_DATA to the folder that holds it")
    for seed in range(first, last + 1):
        yield seed, scenario(seed) if lines is None else recorded(seed, lines)


def check(seed: int, scene: Scenario) -> tuple[int, str]:
    """The number of events of a seed, and what differs."""
    folder = Path(tempfile.mkdtemp(prefix=f"replay-{seed}-"))
    arguments = write(scene, folder)
    expected = run(scene.lines, scene.rules, scene.catalog)
    try:
        found = difference(expected, program(arguments), scene.rules)
    except RuntimeError as error:
        found = f"  {error}"
    if found:
        return len(expected), f"seed {seed}: {folder}\n{found}"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return len(expected), ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-50", help="one seed, or first-last")
    parser.add_argument("--recorded", action="store_true", help="rules on the recorded capture")
    chosen: Any = parser.parse_args()
    first, _, last = chosen.seeds.partition("-")
    events = seeds = differing = 0
    for seed, scene in scenes(int(first), int(last or first), with_recorded=chosen.recorded):
        count, found = check(seed, scene)
        seeds, events, differing = seeds + 1, events + count, differing + bool(found)
        if found:
            print(found, flush=True)  # noqa: T201 - a script's output
    print(f"{seeds} seeds, {events} events, {differing} differing")  # noqa: T201 - likewise
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
