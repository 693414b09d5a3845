"""The double judges as the Bot API does; python-telegram-bot itself runs on it."""

import time
from collections.abc import AsyncIterator

import pytest
import telegram as library
from telegram.error import BadRequest, Forbidden
from telegram.request import HTTPXRequest

from bot.notify.bot_api import BotApi
from bot.notify.channel import Later, Sent, Written
from tests.doubles.telegram import Fault, Limits, TelegramDouble
from tests.doubles.telegram_html import EntityError, parse_html


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as made:
        made.add_chat(7, "private")
        yield made


@pytest.fixture
async def bot(telegram: TelegramDouble) -> AsyncIterator[library.Bot]:
    pools = [HTTPXRequest(httpx_kwargs={"trust_env": False}) for _ in range(2)]
    address = f"{telegram.url}/bot"
    made = library.Bot(telegram.token, address, request=pools[0], get_updates_request=pools[1])
    async with made:
        yield made


async def test_the_library_reads_writes_edits_and_answers(
    telegram: TelegramDouble, bot: library.Bot
) -> None:
    assert bot.username == telegram.username
    first = telegram.say(7, "/start@funding_test_bot now", language="zh")
    (update,) = await bot.get_updates(timeout=1)
    assert update.update_id == first
    assert update.message is not None
    assert update.message.parse_entities() != {}
    button = library.InlineKeyboardButton("Why", callback_data="why:X")
    markup = library.InlineKeyboardMarkup([[button]])
    sent = await bot.send_message(7, "<b>hi</b>", parse_mode="HTML", reply_markup=markup)
    assert sent.text == "hi"
    telegram.press(telegram.messages[0], "why:X")
    (pressed,) = await bot.get_updates(offset=first + 1, timeout=1)
    assert pressed.callback_query is not None
    assert await pressed.callback_query.answer("ok")
    await sent.edit_text("new")
    assert telegram.messages[0].text == "new"
    telegram.membership(7, 7, "kicked")
    (left,) = await bot.get_updates(offset=pressed.update_id + 1, timeout=1)
    assert left.my_chat_member is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Message text is empty"),
        ("   ", "Message text is empty"),
        ("<b></b>", "Text must be non-empty"),
        ("x" * 4097, "Message is too long"),
        ("🚀" * 2049, "Message is too long"),
        ("<b>" + "&amp;" * 7000 + "</b>", "Text is too long"),
        ("<b>x", "Can't parse entities: can't find end tag corresponding to start tag"),
    ],
)
async def test_texts_that_are_refused(bot: library.Bot, text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        await bot.send_message(7, text, parse_mode="HTML")


@pytest.mark.parametrize(
    "text", ["x" * 4096, "🚀" * 2048, "<b>" + "&amp;" * 4096 + "</b>", "a < b"]
)
async def test_texts_that_are_taken(telegram: TelegramDouble, bot: library.Bot, text: str) -> None:
    await bot.send_message(7, text, parse_mode=None if text == "a < b" else "HTML")
    assert len(telegram.messages) == 1


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("币<x>", 'Unsupported start tag "x" at byte offset 3'),
        ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<span>x</span>", 'Tag "span" must have class'),
        ("<b><i>x</b></i>", "Unmatched end tag"),
    ],
)
def test_markup_that_is_refused(raw: str, words: str) -> None:
    with pytest.raises(EntityError) as caught:
        parse_html(raw)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "text", "kinds"),
    [
        ("&lt;&gt;&amp;&quot;&#128640;&nbsp;& x", '<>&"🚀&nbsp;& x', []),
        ("<b>a<i>b</i></b>", "ab", ["b", "i"]),
        ('<a href="http://x/?a=1&amp;b">l</a>', "l", ["a"]),
        ("<pre>\n x\n</pre>", "\n x\n", ["pre"]),
        ("<b></b>x", "x", []),
    ],
)
def test_markup_that_is_taken(raw: str, text: str, kinds: list[str]) -> None:
    parsed = parse_html(raw)
    assert parsed.text == text
    assert sorted(entity.kind for entity in parsed.entities) == kinds


async def test_people_who_blocked_the_bot_and_chats_nobody_knows(
    telegram: TelegramDouble, bot: library.Bot
) -> None:
    telegram.block(7)
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(7, "x")
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(12345, "x")


@pytest.mark.parametrize("data", ["x" * 65, "币" * 22])
async def test_button_data_has_64_bytes(bot: library.Bot, data: str) -> None:
    button = library.InlineKeyboardButton("x", callback_data=data)
    with pytest.raises(BadRequest, match="Button_data_invalid"):
        await bot.send_message(7, "x", reply_markup=library.InlineKeyboardMarkup([[button]]))


async def test_limits_count_and_close_a_chat_for_as_long_as_they_say() -> None:
    async with TelegramDouble(limits=Limits(per_chat=0.2, overall=None)) as telegram:
        telegram.add_chat(7)
        telegram.add_chat(8)
        bot = BotApi(telegram.token, telegram.url)
        assert isinstance(await bot.send(7, None, Written("x")), Sent)
        limited = await bot.send(7, None, Written("x"))
        assert limited == Later("Too Many Requests: retry after 1", 1)
        assert isinstance(await bot.send(8, None, Written("x")), Sent)
        assert telegram.limited == 1
        await bot.close()


async def test_a_confirmed_update_is_gone_and_an_unconfirmed_one_comes_again(
    telegram: TelegramDouble, bot: library.Bot
) -> None:
    ids = [telegram.say(7, str(number)) for number in range(3)]
    assert len(await bot.get_updates()) == 3
    assert len(await bot.get_updates()) == 3
    assert len(await bot.get_updates(offset=ids[2])) == 1
    assert telegram.waiting == 1


async def test_a_fault_befalls_only_what_it_is_meant_for(
    telegram: TelegramDouble, bot: library.Bot
) -> None:
    telegram.add_chat(8)
    telegram.fail_next(Fault.refuse(400, "Bad Request: nope"), chat_id=8)
    await bot.send_message(7, "x")
    with pytest.raises(BadRequest, match="Nope"):
        await bot.send_message(8, "x")
    await bot.send_message(8, "x")
    statuses = [one.status for one in telegram.requests if one.method == "sendMessage"]
    assert statuses == [200, 400, 200]


async def test_waiting_has_an_end(telegram: TelegramDouble) -> None:
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        await telegram.wait_for(lambda: telegram.messages, timeout=0.05)
    assert time.monotonic() - began < 5  # the usual deadline
