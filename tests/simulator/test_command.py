"""`fundingbot simulate` as a process, and that its page says what it does."""

import asyncio
import re
import sys
from pathlib import Path

import httpx
import pytest

from bot.simulator.counts import Counts
from bot.simulator.faults import SWITCHES, Faults, described
from bot.simulator.universe import build_universe
from tests.simulator.wire import DEADLINE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "simulate", *arguments, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_the_switches_are_listed_with_their_meanings() -> None:
    process = await start("--list-faults")
    output, _ = await process.communicate()
    lines = output.decode().splitlines()
    assert process.returncode == 0
    assert len(lines) == len(SWITCHES)
    for line, (name, meaning) in zip(lines, described(), strict=True):
        assert line.split(maxsplit=1) == [name, meaning]


async def test_faults_of_the_command_line_are_on_and_turned_over_http_and_sigterm_ends_it() -> None:
    process = await start("--port", "0", "--symbols", "40", "--fault", "refuse=451")
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            lines = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
        addresses = dict(line.split("=", 1) for line in lines)
        assert addresses["BINANCE_STREAM_URL"].endswith("/market")
        root = addresses["BINANCE_REST_URL"]
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=DEADLINE) as client:
            before = (await client.get(f"{root}/simulator/counts")).json()["faults"]
            after = (await client.get(f"{root}/simulator/faults?refuse=off&lag=2")).json()["faults"]
        assert (before, after) == ({"refuse": "451"}, {"lag": "2"})
    finally:
        process.terminate()
        _, complaints = await process.communicate()
    assert (process.returncode, complaints.decode()) == (0, "")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("slient", "no fault is called 'slient'; there are silent, black-hole"),
        ("refuse=200", "fault refuse: expected an HTTP status from 400 to 599, got '200'"),
    ],
)
async def test_a_wrong_fault_is_a_usage_error(fault: str, words: str) -> None:
    process = await start("--port", "0", "--fault", fault)
    _, complaints = await process.communicate()
    assert process.returncode == 2
    assert words in complaints.decode()


def test_the_page_has_every_switch_in_order() -> None:
    assert [name for name, _ in ROWS] == list(SWITCHES)


@pytest.mark.parametrize("example", [example for _, example in ROWS])
def test_every_example_of_the_page_is_a_value_of_its_switch(example: str) -> None:
    symbols = build_universe(1, 330, 1_795_363_200_000).listings
    told: list[str] = []
    Faults(symbols, told.append).set_text(example)
    assert told == [example.partition("=")[0]]


def test_the_page_has_every_count_and_limit() -> None:
    counts = Counts()
    assert [name for name in (*counts.report(), *counts.limits()) if f"`{name}`" not in PAGE] == []
