"""Limits and faults of the double: what it refuses, and how it misbehaves when told to."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.doubles.bot_api_client import Api
from tests.doubles.telegram import Fault, Limits, TelegramDouble


class Clock:
    """Steady seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as made:
        made.add_chat(7, "private")
        made.add_chat(-100)
        yield made


@pytest.fixture
async def api(telegram: TelegramDouble) -> AsyncIterator[Api]:
    async with Api(f"{telegram.url}/bot{telegram.token}") as made:
        yield made


async def test_a_refused_message_earns_429_and_closes_its_chat_for_as_long_as_it_says() -> None:
    clock = Clock()
    async with (
        TelegramDouble(limits=Limits(per_chat=1.0, overall=None), clock=clock) as telegram,
        Api(f"{telegram.url}/bot{telegram.token}") as api,
    ):
        telegram.add_chat(7)
        telegram.add_chat(8)

        async def said(chat_id: int) -> object:
            answer = await api.ask("sendMessage", chat_id=chat_id, text="x")
            return answer.get("parameters", {}).get("retry_after", 0)

        assert [await said(7), await said(8)] == [0, 0]
        clock.now += 0.9
        assert await said(7) == 1  # and now it is closed for a second, not for a tenth
        clock.now += 0.5
        assert (await said(7), telegram.limited, telegram.trespasses) == (1, 2, 1)
        clock.now += 0.9
        assert (await said(8), await said(7)) == (0, 1)
        clock.now += 1.1
        assert await said(7) == 0


async def test_a_group_takes_20_in_any_minute_and_the_bot_sends_30_in_any_second() -> None:
    clock = Clock()
    async with (
        TelegramDouble(limits=Limits(per_chat=None), clock=clock) as telegram,
        Api(f"{telegram.url}/bot{telegram.token}") as api,
    ):

        async def send(chat_id: int) -> bool:
            telegram.add_chat(chat_id)
            return bool((await api.ask("sendMessage", chat_id=chat_id, text="x"))["ok"])

        assert all([await send(-5) for _ in range(20)])
        clock.now += 59
        assert not await send(-5)
        assert all([await send(chat_id) for chat_id in range(1, 31)])
        assert not await send(31)
        clock.now += 3
        assert all([await send(-5), await send(31)])


async def test_a_scripted_429_counts_those_who_do_not_wait(
    telegram: TelegramDouble, api: Api
) -> None:
    telegram.fail_next(Fault.too_many(30), chat_id=7)
    for _ in range(2):
        await api.ask("sendMessage", chat_id=7, text="x")
        await api.ask("sendMessage", chat_id=-100, text="x")
    assert (telegram.limited, telegram.trespasses) == (0, 1)


@pytest.mark.parametrize(
    ("fault", "error", "arrived"),
    [
        (Fault.drop(acted=True), httpx.RemoteProtocolError, 1),
        (Fault.drop(acted=False), httpx.RemoteProtocolError, 0),
        (Fault.rst(acted=True), httpx.ReadError, 1),
        (Fault.rst(acted=False), httpx.ReadError, 0),
        (Fault.cut_short("head"), httpx.RemoteProtocolError, 1),
        (Fault.cut_short("body"), httpx.RemoteProtocolError, 1),
        (Fault.too_short(), httpx.RemoteProtocolError, 1),
        (Fault.slow(5), httpx.ReadTimeout, 1),
    ],
)
async def test_faults_end_a_request_before_or_after_it_was_carried_out(
    telegram: TelegramDouble, api: Api, fault: Fault, error: type[Exception], arrived: int
) -> None:
    telegram.fail_next(fault)
    message = {"chat_id": 7, "text": "x"}
    with pytest.raises(error):
        await api.client.post(f"{api.address}/sendMessage", data=message, timeout=1)
    assert len(telegram.messages) == arrived
    assert (await api.ask("sendMessage", chat_id=7, text="x"))["ok"]  # only that one


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault.html(502), 502, "<h1>502"),
        (Fault.html(200, acted=True), 200, "<h1>200"),
        (Fault.portal(), 302, "log in"),
        (Fault.text('{"ok":true}'), 200, '{"ok":true}'),
        (Fault.refuse(500, "Internal Server Error"), 500, "Internal Server Error"),
        (Fault.dripping(0.001), 200, '"ok": true'),
    ],
)
async def test_faults_answer_something_else_or_slowly(
    telegram: TelegramDouble, api: Api, fault: Fault, status: int, words: str
) -> None:
    telegram.fail_next(fault)
    answer = await api.client.post(f"{api.address}/sendMessage", json={"chat_id": 7, "text": "x"})
    assert answer.status_code == status
    assert words in answer.text


async def test_a_connection_that_is_reset_as_soon_as_it_comes_about(
    telegram: TelegramDouble, api: Api
) -> None:
    telegram.doomed = 1
    with pytest.raises(httpx.TransportError):
        await api.ask("sendMessage", chat_id=7, text="x")
    assert (await api.ask("sendMessage", chat_id=7, text="x"))["ok"]
    assert len(telegram.requests) == 1


async def test_a_fault_befalls_only_what_it_is_meant_for(
    telegram: TelegramDouble, api: Api
) -> None:
    telegram.add_chat(8)
    telegram.fail_next(Fault.refuse(400, "Bad Request: nope"), chat_id=8)
    assert (await api.ask("sendMessage", chat_id=7, text="x"))["ok"]
    assert await api.refusal("sendMessage", chat_id=8, text="x") == "Bad Request: nope"
    assert (await api.ask("sendMessage", chat_id=8, text="x"))["ok"]
    assert [one.status for one in telegram.requests] == [200, 400, 200]


async def test_waiting_has_an_end(telegram: TelegramDouble) -> None:
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        await telegram.wait_for(lambda: telegram.messages, timeout=0.05)
    assert time.monotonic() - began < 5  # the usual deadline
