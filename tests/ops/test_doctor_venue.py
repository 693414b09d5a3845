"""The doctor's look at a venue that is well, silent, late, wrong or away."""

import re
import time
from collections.abc import AsyncIterator

import pytest

from bot.ops.doctor_venue import check_rest, check_stream
from bot.simulator.server import Simulator, SimulatorSettings

NOBODY = "127.0.0.1:1"  # a port at which nothing listens


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def venue() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(symbols=40, period=0.1)) as venue:
        yield venue


def fast() -> float:
    """A clock that is 90 s ahead."""
    return time.time() + 90


async def test_rest_says_how_many_rows_how_old_and_how_the_clock_stands(venue: Simulator) -> None:
    found = await check_rest(venue.rest_url)
    assert found.ok
    for words in ("answers in ", "premiumIndex has ", "rows, the newest 0.", "the clock here is "):
        assert words in found.text


async def test_a_wrong_clock_is_found(venue: Simulator) -> None:
    found = await check_rest(venue.rest_url, wall=fast)
    assert not found.ok
    assert "ms ahead of the venue's: set it" in found.text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("rest-down=451", "does not serve the country"),
        ("rest-down=503", "the venue has a fault (HTTP 503)"),
        ("rest-down=429", "too many requests"),
    ],
)
async def test_a_rest_that_refuses_is_said(venue: Simulator, fault: str, words: str) -> None:
    venue.faults.set_text(fault)
    found = await check_rest(venue.rest_url)
    assert (found.ok, words in found.text) == (False, True), found.text


async def test_a_venue_that_cannot_be_reached_fails() -> None:
    found = await check_rest(f"http://{NOBODY}")
    assert not found.ok
    assert "cannot be reached" in found.text


async def test_rows_that_arrive_are_counted_and_their_lag_is_told(venue: Simulator) -> None:
    found = await check_stream(venue.stream_url, venue.rest_url, listening=0.6)
    assert found.ok
    for words in ("route /market: ", " rows/s of ", " symbols, lag 0.", "first row after "):
        assert words in found.text
    assert "has no /market route" not in found.text


async def test_rows_that_repeat_count_once(venue: Simulator) -> None:
    venue.faults.set("repeat")
    found = await check_stream(venue.stream_url, venue.rest_url, listening=0.6)
    assert found.ok
    [rate, symbols] = re.findall(r"(\d+) rows/s of (\d+) symbols", found.text)[0]
    assert int(rate) <= 10 * int(symbols) * 1.2


async def test_the_lag_is_free_of_the_skew_of_this_clock(venue: Simulator) -> None:
    found = await check_stream(venue.stream_url, venue.rest_url, listening=0.6, wall=fast)
    assert (found.ok, ", lag 0." in found.text) == (True, True), found.text


async def test_rows_that_come_late_fail(venue: Simulator) -> None:
    venue.faults.set("lag", 6)
    found = await check_stream(venue.stream_url, venue.rest_url, listening=0.6)
    assert (found.ok, ", lag 6." in found.text) == (False, True), found.text
    assert "rows come too late" in found.text


async def test_without_rest_the_lag_is_unknown(venue: Simulator) -> None:
    found = await check_stream(venue.stream_url, f"http://{NOBODY}", listening=0.3)
    assert (found.ok, "lag unknown without REST" in found.text) == (True, True), found.text


async def test_an_open_but_silent_stream_names_the_route(venue: Simulator) -> None:
    legacy = venue.stream_url.removesuffix("/market")
    found = await check_stream(legacy, venue.rest_url, row_within=0.5)
    assert not found.ok
    assert found.text == (
        "no row within 0.5 s: connected, but silent; BINANCE_STREAM_URL has no /market route, "
        "without which the venue connects and is silent: it should end in /market"
    )


async def test_silence_on_the_right_route_does_not_blame_it(venue: Simulator) -> None:
    venue.faults.set("silent")
    found = await check_stream(venue.stream_url, venue.rest_url, row_within=0.5)
    assert not found.ok
    assert found.text == (
        "no row within 0.5 s: connected, but silent on the route /market; the venue is in trouble"
    )


async def test_a_refused_handshake_is_said_in_words(venue: Simulator) -> None:
    venue.faults.set("refuse", 451)
    found = await check_stream(venue.stream_url, venue.rest_url, row_within=0.5)
    assert not found.ok
    assert "HTTP 451" in found.text
    assert "run the bot from elsewhere" in found.text


async def test_a_stream_that_cannot_be_reached_fails_in_words() -> None:
    found = await check_stream(f"ws://{NOBODY}/market", f"http://{NOBODY}", row_within=0.5)
    assert not found.ok
    assert "silent" not in found.text
    assert "connect" in found.text
