import pytest

from bot.simulator.faults import described
from bot.simulator.server import Simulator
from tests.simulator.wire import (
    BITCOIN,
    get,
    link,
    switch,
    tick,
)


async def test_the_switchboard_turns_faults_and_pins_rows_over_http(simulator: Simulator) -> None:
    assert (await switch(simulator, "faults?silent&refuse=451"))["faults"] == {
        "silent": "",
        "refuse": "451",
    }
    assert (await switch(simulator, "faults?silent=off&refuse=off"))["faults"] == {}
    await switch(simulator, "row?symbol=BTCUSDT&rate=0.00123400&next_funding_time=5")
    async with link(simulator, BITCOIN) as websocket:
        await tick(websocket, lambda row: (row.rate, row.next_funding_time) == ("0.00123400", 5))
        await switch(simulator, "row?symbol=BTCUSDT")
        await tick(websocket, lambda row: row.rate != "0.00123400")
    assert (await switch(simulator, "counts"))["counts"]["connects"] == 1


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("faults?slient", 400, "no fault is called 'slient'"),
        ("row?symbol=NOPE&rate=1", 400, "no 'NOPE'"),
        ("row?symbol=BTCUSDT&price=1", 400, "a row has no price"),
        ("row?symbol=BTCUSDT&next_funding_time=soon", 400, "soon"),
        ("elsewhere", 404, "there are faults, row, counts and switches"),
    ],
)
async def test_the_switchboard_says_what_is_wrong(
    simulator: Simulator, query: str, status: int, words: str
) -> None:
    response = await get(simulator, f"/simulator/{query}")
    assert response.status_code == status
    assert words in response.json()["error"]


async def test_the_switchboard_lists_every_switch_with_its_meaning(simulator: Simulator) -> None:
    listed = await switch(simulator, "switches")
    assert listed == dict(described())
    assert listed["silent"] == "no rows; pongs and answers go on"


async def test_a_wrong_value_changes_nothing_of_its_own(simulator: Simulator) -> None:
    response = await get(simulator, "/simulator/faults?refuse=200")
    assert response.status_code == 400
    assert "an HTTP status from 400 to 599" in response.json()["error"]
    assert (await switch(simulator, "counts"))["faults"] == {}
