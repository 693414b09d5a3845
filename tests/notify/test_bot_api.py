"""The Telegram channel over real HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from bot.notify.bot_api import (
    BotApi,
    BotApiError,
    PollConflictError,
    TokenRefusedError,
    UnreachableError,
)
from bot.notify.channel import (
    Button,
    Sent,
    Written,
)
from tests.doubles.telegram import Fault, TelegramDouble

HELLO = Written("<b>hello</b>", ((Button("Why", "why:BTCUSDT"),),))


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as double:
        double.add_chat(7, "private")
        double.add_chat(-100, topics=(42,))
        yield double


@pytest.fixture
async def bot_api(telegram: TelegramDouble) -> AsyncIterator[BotApi]:
    bot = BotApi(telegram.token, telegram.url, read_timeout=20, connect_timeout=20)
    yield bot
    await bot.close()


@pytest.fixture
async def impatient(telegram: TelegramDouble) -> AsyncIterator[BotApi]:
    bot = BotApi(telegram.token, telegram.url, read_timeout=0.3, connect_timeout=20)
    yield bot
    await bot.close()


async def test_a_message_arrives_with_markup_buttons_and_topic(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    outcome = await bot_api.send(-100, 42, Written("<b>x</b> &lt;", HELLO.buttons, silent=True))
    (message,) = telegram.messages
    assert outcome == Sent(message.message_id)
    assert (message.text, message.topic, message.silent) == ("x <", 42, True)
    assert message.data == ["why:BTCUSDT"]


async def test_a_reply_answers_its_message_and_does_without_one_that_is_gone(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    first = await bot_api.send(7, None, HELLO)
    assert isinstance(first, Sent)
    await bot_api.send(7, None, Written("r", reply_to=first.message_id))
    await bot_api.send(7, None, Written("r", reply_to=99_999))
    replies = [message.reply_to for message in telegram.messages]
    assert replies == [None, first.message_id, None]


async def test_an_edit_changes_the_message_and_one_that_changes_nothing_counts_as_sent(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    sent = await bot_api.send(7, None, HELLO)
    assert isinstance(sent, Sent)
    edit = Written("new", edit_of=sent.message_id)
    assert await bot_api.send(7, None, edit) == sent
    assert await bot_api.send(7, None, edit) == sent
    assert (telegram.messages[0].text, telegram.messages[0].versions) == ("new", ["hello"])


async def test_an_edit_of_a_message_that_somebody_deleted_counts_as_done(bot_api: BotApi) -> None:
    assert await bot_api.send(7, None, Written("x", edit_of=1)) == Sent(1)


async def test_updates_come_as_they_are_and_are_confirmed_by_the_offset(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    first = telegram.say(7, "/start")
    second = telegram.say(7, "hi", chat_id=-100, topic=42)
    updates = await bot_api.get_updates(0, 0)
    assert [update["update_id"] for update in updates] == [first, second]
    assert updates[1]["message"]["message_thread_id"] == 42
    assert len(await bot_api.get_updates(first + 1, 0)) == 1
    assert telegram.waiting == 1


async def test_a_long_poll_outlasts_the_read_timeout_and_returns_at_once_on_an_update(
    telegram: TelegramDouble, impatient: BotApi
) -> None:
    poll = asyncio.create_task(impatient.get_updates(0, 30))
    await telegram.wait_for(lambda: telegram.polling)
    await asyncio.sleep(0.6)  # beyond the read timeout of the other methods
    telegram.say(7, "hi")
    assert len(await asyncio.wait_for(poll, 30)) == 1


async def test_sending_goes_on_while_a_poll_waits(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    poll = asyncio.create_task(bot_api.get_updates(0, 30))
    await telegram.wait_for(lambda: telegram.polling)
    assert isinstance(await bot_api.send(7, None, HELLO), Sent)
    telegram.say(7, "hi")
    await poll


async def test_a_second_poller_is_said_in_plain_words(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    poll = asyncio.create_task(bot_api.get_updates(0, 30))
    await telegram.wait_for(lambda: telegram.polling)
    other = BotApi(telegram.token, telegram.url)
    await other.get_updates(1, 1)
    with pytest.raises(PollConflictError, match="another program reads this bot's updates"):
        await poll
    await other.close()


async def test_a_press_is_answered_once(telegram: TelegramDouble, bot_api: BotApi) -> None:
    await bot_api.send(7, None, HELLO)
    telegram.press(telegram.messages[0], "why:BTCUSDT")
    (update,) = await bot_api.get_updates(0, 0)
    query = update["callback_query"]["id"]
    assert await bot_api.answer_callback(query, "ok" * 200) is True
    assert await bot_api.answer_callback(query) is False
    assert telegram.answers == [{"id": query, "text": ("ok" * 200)[:200]}]


async def test_the_menu_is_set_per_language(telegram: TelegramDouble, bot_api: BotApi) -> None:
    await bot_api.set_commands({"": [("start", "Begin")], "zh": [("start", "开始")]})
    assert telegram.commands["default", "zh"] == [{"command": "start", "description": "开始"}]
    assert telegram.commands["default", ""][0]["description"] == "Begin"


async def test_who_the_bot_is_and_who_is_an_admin(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    assert (await bot_api.get_me())["username"] == "funding_test_bot"
    telegram.add_chat(-7, admins=(5,))
    telegram.say(5, "x", chat_id=-7)
    telegram.say(6, "x", chat_id=-7)
    statuses = [await bot_api.member_status(-7, user) for user in (5, 6)]
    assert statuses == ["creator", "member"]
    with pytest.raises(BotApiError, match="user not found"):
        await bot_api.member_status(-7, 8)


@pytest.mark.parametrize("token", ["123456:wrong", "nonsense", "a b/../c\r\nX: y"])
async def test_a_wrong_token_is_said_without_it(telegram: TelegramDouble, token: str) -> None:
    bot = BotApi(token, telegram.url)
    with pytest.raises(TokenRefusedError, match="check TELEGRAM_TOKEN") as caught:
        await bot.get_me()
    assert token not in str(caught.value)
    await bot.close()


async def test_a_server_out_of_reach_is_no_wrong_token(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    telegram.fail_next(Fault.html(404), method="getMe")
    with pytest.raises(UnreachableError, match="TELEGRAM_API_URL"):
        await bot_api.get_me()
    await telegram.go_down()
    with pytest.raises(UnreachableError, match="cannot reach the Telegram server"):
        await bot_api.get_me()


async def test_the_token_is_in_no_log_error_or_repr(
    telegram: TelegramDouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "telegram", "telegram.Bot"):
        caplog.set_level(logging.DEBUG, name)
    bot = BotApi(telegram.token, telegram.url, read_timeout=0.3)
    texts = [repr(bot), repr(vars(bot))]
    for fault in (Fault.html(500), Fault.html(200), Fault.drop(acted=False), Fault.slow(0.5)):
        telegram.fail_next(fault)
        texts.append(repr(await bot.send(7, None, HELLO)))
    texts.append(repr(await bot.send(7, None, HELLO)))
    await telegram.go_down()
    with pytest.raises(UnreachableError) as caught:
        await bot.get_me()
    texts += [repr(caught.value), repr(caught.value.__context__)]
    await bot.close()
    secret = telegram.token.partition(":")[2]
    assert len(caplog.records) > 10
    formatter = logging.Formatter()
    texts += [formatter.format(record) for record in caplog.records]
    assert not [text for text in texts if secret in text]
