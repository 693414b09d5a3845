"""Clients that others wrote, unmodified but for the address, at a `fundingbot simulate` process.

`make clients` installs them into an environment of their own and names its Python here; without it
these tests are skipped. Each program under `programs/` is what a user of that client would write:
it prints what it received as one JSON object.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

PYTHON = os.environ.get("CLIENTS_PYTHON", "")
ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
WITHIN = 50.0  # s; a client is ready after about ten
KINDS = {"BTCUSDT", "XAUUSDT", "币安人生USDT"}  # of both frames of the array

pytestmark = pytest.mark.skipif(not PYTHON, reason="`make clients` runs these")


@pytest.fixture
async def roots() -> AsyncIterator[list[str]]:
    """The addresses of a simulator in a process of its own: of its streams and of its REST."""
    command = (sys.executable, "-m", "bot", "simulate", "--port", "0", "--symbols", "330")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN):
            lines = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
        stream, rest = (line.partition("=")[2] for line in lines)
        yield [stream.removesuffix("/market"), rest]
    finally:
        process.terminate()
        await process.wait()


async def run(name: str, roots: list[str]) -> Any:
    """What a program printed; its complaints are the failure's words."""
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "*", "no_proxy": "*"}
    process = await asyncio.create_subprocess_exec(
        PYTHON, PROGRAMS / f"with_{name}.py", *roots, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(WITHIN):
            output, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode()
    return json.loads(output)


def rows(frames: list[Any]) -> set[str]:
    return {row["s"] for frame in frames for row in frame}


async def test_python_binance_receives_mark_prices_and_funding(roots: list[str]) -> None:
    found = await run("python_binance", roots)
    assert found["stream"]["data"]["s"] == "BTCUSDT"
    assert float(found["stream"]["data"]["p"]) > 0
    assert rows([frame["data"] for frame in found["market"]]) > KINDS
    assert found["time"]["serverTime"] > 0
    assert found["mark_price"]["symbol"] == "BTCUSDT"
    assert len(found["funding_rate"]) == 3
    assert len(found["exchange_info"]["symbols"]) == 324


async def test_ccxt_loads_the_markets_and_receives_mark_prices_and_funding(
    roots: list[str],
) -> None:
    found = await run("ccxt", roots)
    bitcoin = found["markets"]["BTC/USDT:USDT"]
    assert bitcoin == {
        "active": True,
        "precision": {"amount": 0.001, "price": 1e-06, "base": 1e-08, "quote": 1e-08},
    }
    assert found["markets"]["MATIC/USDT:USDT"]["active"] is False
    assert found["stream"]["markPrice"] > 0
    symbols = {symbol for tickers in found["market"] for symbol in tickers}
    assert symbols > {"BTC/USDT:USDT", "XAU/USDT:USDT", "币安人生/USDT:USDT"}
    assert found["mark_price"]["markPrice"] > 0
    assert found["funding_rate"]["fundingTimestamp"] > found["funding_rate"]["timestamp"]
    assert len(found["funding_rates"]) == 324
    assert found["intervals"]["币安人生/USDT:USDT"]["interval"] == "4h"
    assert [each["symbol"] for each in found["history"]] == ["BTC/USDT:USDT"] * 3


async def test_unicorn_binance_websocket_api_receives_mark_prices(roots: list[str]) -> None:
    found = await run("unicorn_binance_websocket_api", roots)
    assert found["stream"]["data"]["s"] == "BTCUSDT"
    assert rows([frame["data"] for frame in found["market"]]) > KINDS


async def test_the_venues_own_sdk_reads_every_field_of_rows_and_answers(roots: list[str]) -> None:
    found = await run("binance_sdk", roots)
    assert found["stream"].keys() == {"e", "E", "s", "p", "ap", "P", "i", "r", "T", "st"}
    assert found["stream"]["s"] == "BTCUSDT"
    assert rows(found["market"]) > KINDS
    assert all(not row["additional_properties"] for frame in found["market"] for row in frame)
    assert found["mark_price"]["symbol"] == "BTCUSDT"
    assert [each["rateType"] for each in found["funding_rate"]] == ["Regular"] * 3
    assert all(not each["additional_properties"] for each in found["funding_rate"])
    hours = {each["symbol"]: each["fundingIntervalHours"] for each in found["funding_info"]}
    assert (hours["BTCUSDT"], hours["币安人生USDT"]) == (8, 4)
    assert len(found["exchange_info"]["symbols"]) == 324
