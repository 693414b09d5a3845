"""`fundingbot record` as a process of its own: a venue, a file, a signal."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.rules.rules_file import read_rules_file
from bot.simulator.server import Simulator, SimulatorSettings
from tests.app.program import ROOT
from tests.app.recorded_session import replayed

pytestmark = pytest.mark.timeout(90)
RULES = b'version: 1\nrules: [{name: hot, symbols: ALL, when: "rate8h > 0.1%"}]\n'


@pytest.fixture
async def venue() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(symbols=40, period=0.25)) as made:
        yield made


async def started(
    venue: Simulator | None, folder: Path, *arguments: str
) -> asyncio.subprocess.Process:
    nowhere = "127.0.0.1:9"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BINANCE_STREAM_URL": venue.stream_url if venue else f"ws://{nowhere}/market",
        "BINANCE_REST_URL": venue.rest_url if venue else f"http://{nowhere}",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "record", *arguments,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


async def grown(path: Path, text: bytes, since: int = 0) -> None:
    """Waits until a plain recording holds a text, behind so many bytes."""
    async with asyncio.timeout(20):
        while True:
            if text in (await asyncio.to_thread(content, path))[since:]:
                return
            await asyncio.sleep(0.1)


async def ended(process: asyncio.subprocess.Process, number: int) -> str:
    process.send_signal(number)
    async with asyncio.timeout(10):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert "Traceback" not in errors.decode()
    return output.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_whole_market_is_recorded_and_replayed(
    venue: Simulator, tmp_path: Path, number: int
) -> None:
    path = tmp_path / "market.jsonl"
    process = await started(venue, tmp_path, "--out", path.name)
    await grown(path, b'"data"')
    venue.set_row("ETHUSDT", rate="0.00200000")
    await grown(path, b'"r":"0.00200000"')
    output = await ended(process, number)
    assert "symbols, " in output
    assert f"1 file, {path.name}" in output
    events, summary, warnings = replayed(path, rules=read_rules_file(RULES).rules)
    assert warnings == []
    assert summary.symbols > 30
    assert summary.played.starts == 1
    assert summary.played.catalogs >= 1
    assert summary.played.advances >= 1
    assert "ETHUSDT" in {event["symbol"] for event in events}
    assert '"rules"' not in path.read_text(encoding="utf-8")


async def test_some_symbols_are_recorded_and_the_file_is_gone_on_with(
    venue: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "some.jsonl"
    for starts in (1, 2):
        before = await asyncio.to_thread(content, path)
        process = await started(venue, tmp_path, "--out", path.name, "--symbols", "BTC, ETHUSDT")
        await grown(path, b'"data"', since=len(before))
        await ended(process, signal.SIGTERM)
        _, summary, _ = replayed(path, rules=read_rules_file(RULES).rules)
        assert (summary.played.starts, summary.symbols) == (starts, 2)


async def test_a_venue_that_is_away_does_not_end_it(tmp_path: Path) -> None:
    path = tmp_path / "market.jsonl"
    process = await started(None, tmp_path, "--out", path.name)
    await grown(path, b'"begin"')
    assert process.returncode is None
    assert "0 rows of 0 symbols" in await ended(process, signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "taken.gz"], "taken.gz: is there and is no recording"),
        (["--out", "no/where.gz"], "no/where.gz: cannot be recorded to"),
        (["--out", "new.gz", "--rotate", "5"], "--rotate: a time needs a unit"),
        (["--out", "new.gz", "--rotate", "0s"], "--rotate: expected a second or more"),
        (["--out", "new.gz", "--symbols", "B?T;C"], "--symbols: "),
    ],
)
async def test_what_cannot_be_recorded_to_is_said(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    taken = tmp_path / "taken.gz"
    taken.write_bytes(json.dumps({"some": "file"}).encode())
    process = await started(None, tmp_path, *arguments)
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert words in errors.decode()
