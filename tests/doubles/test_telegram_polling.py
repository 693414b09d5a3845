"""How the double hands out updates: Client.cpp, do_get_updates; TQueue.cpp."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.doubles.bot_api_client import Api
from tests.doubles.telegram import TelegramDouble


class Clock:
    """Steady seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def telegram(clock: Clock) -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble(clock=clock) as made:
        yield made


@pytest.fixture
async def api(telegram: TelegramDouble) -> AsyncIterator[Api]:
    async with Api(f"{telegram.url}/bot{telegram.token}") as made:
        yield made


async def ids(api: Api, **parameters: object) -> list[int]:
    return [update["update_id"] for update in await api.result("getUpdates", **parameters)]


async def test_confirmed_updates_are_gone_and_others_come_again(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    said = [telegram.say(7, str(number)) for number in range(4)]
    assert await ids(api, offset=0) == said
    clock.now += 1
    assert await ids(api, offset=0) == said
    assert await ids(api, offset=said[2]) == said[2:]
    assert await ids(api, offset=0) == said[2:]
    assert telegram.waiting == 2


async def test_a_negative_offset_keeps_only_the_last_ones(
    telegram: TelegramDouble, api: Api
) -> None:
    said = [telegram.say(7, str(number)) for number in range(4)]
    assert await ids(api, offset=-1) == said[-1:]
    assert telegram.waiting == 1


async def test_an_offset_far_in_the_future_is_not_believed(
    telegram: TelegramDouble, api: Api
) -> None:
    said = telegram.say(7, "x")
    assert await ids(api, offset=said + 12) == [said]
    assert await ids(api, offset=said + 11) == []
    assert telegram.waiting == 0


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (0, 1), (100, 100), (500, 100)])
async def test_a_call_brings_1_to_100_updates(
    telegram: TelegramDouble, api: Api, limit: int, count: int
) -> None:
    for number in range(120):
        telegram.say(7, str(number))
    assert len(await ids(api, limit=limit)) == count


async def test_an_update_is_gone_after_a_day(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    telegram.say(7, "old")
    clock.now += 86_000
    young = telegram.say(7, "young")
    clock.now += 401
    assert await ids(api) == [young]


async def test_kinds_that_are_not_asked_for_are_not_kept(
    telegram: TelegramDouble, api: Api
) -> None:
    assert telegram.update(chat_member={}) == 0  # not by default
    kept = telegram.membership(-5, 7)
    assert await ids(api, allowed_updates=["message"]) == [kept]  # it came before that
    assert telegram.membership(-5, 7) == 0
    said = telegram.say(7, "x")
    assert await ids(api, offset=kept + 1) == [said]  # not named: as before
    await ids(api, offset=said + 1, allowed_updates=[], timeout=0)
    assert telegram.membership(-5, 7) > said


async def test_a_long_poll_ends_with_the_first_update(telegram: TelegramDouble, api: Api) -> None:
    poll = asyncio.create_task(ids(api, timeout=40))
    await telegram.wait_for(lambda: telegram.polling)
    said = telegram.say(7, "x")
    assert await asyncio.wait_for(poll, 10) == [said]


async def test_a_long_poll_ends_with_its_time(telegram: TelegramDouble, api: Api) -> None:
    telegram.strict_polls = False
    began = time.monotonic()
    assert await ids(api, timeout=1) == []
    assert 0.9 < time.monotonic() - began < 10


async def test_the_same_question_at_once_waits_and_brings_one_update(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    assert await ids(api) == []
    again = asyncio.create_task(ids(api))
    await telegram.wait_for(lambda: telegram.polling)  # though it asked for no wait
    said = [telegram.say(7, "x"), telegram.say(7, "y")]
    assert await again == said[:1]
    clock.now += 1
    assert await ids(api) == said


async def test_of_two_long_polls_the_first_is_ended(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    first = asyncio.create_task(api.refusal("getUpdates", timeout=40))
    await telegram.wait_for(lambda: telegram.polling)
    clock.now += 10
    second = asyncio.create_task(ids(api, timeout=40))
    assert await first == (
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance "
        "is running"
    )
    said = telegram.say(7, "x")
    assert await second == [said]  # a conflict eats nothing


async def test_a_second_conflict_within_3_s_is_said_late(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    polls = []
    for _ in range(3):
        polls.append(asyncio.create_task(api.ask("getUpdates", timeout=40)))
        await telegram.wait_for(lambda: telegram.polling)
        clock.now += 0.6
        if len(polls) == 2:
            assert (await polls[0])["error_code"] == 409  # at once
    began = time.monotonic()
    assert (await polls[1])["error_code"] == 409
    assert time.monotonic() - began > 2
    telegram.say(7, "x")
    assert (await polls[2])["ok"]


async def test_a_poll_that_finds_something_ends_no_other(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    first = asyncio.create_task(ids(api, offset=5_000, timeout=40))  # not believed, so it waits
    await telegram.wait_for(lambda: telegram.polling)
    said = telegram.say(7, "x")
    assert (await first, await ids(api, offset=said)) == ([said], [said])


async def test_a_webhook_ends_polls_and_forbids_them(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    poll = asyncio.create_task(api.refusal("getUpdates", timeout=40))
    await telegram.wait_for(lambda: telegram.polling)
    assert await api.result("setWebhook", url="https://example.org/x")
    assert await poll == "Conflict: terminated by setWebhook request"
    clock.now += 10
    assert await api.refusal("getUpdates") == (
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to "
        "delete the webhook first"
    )
    said = telegram.say(7, "x")
    info = await api.result("getWebhookInfo")
    assert (info["url"], info["pending_update_count"]) == ("https://example.org/x", 1)
    assert await api.result("deleteWebhook")
    clock.now += 10
    assert await ids(api) == [said]


async def test_webhooks_need_https_and_a_second_between_them(
    telegram: TelegramDouble, clock: Clock, api: Api
) -> None:
    words = await api.refusal("setWebhook", url="http://example.org")
    assert words == "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
    again = await api.ask("setWebhook", url="https://example.org")
    assert (again["error_code"], again["parameters"]) == (429, {"retry_after": 1})
    clock.now += 1
    telegram.say(7, "x")
    await api.result("setWebhook", url="https://example.org", drop_pending_updates=True)
    assert telegram.waiting == 0
    await api.result("setWebhook", url="")
    assert (await api.result("getWebhookInfo"))["url"] == ""
