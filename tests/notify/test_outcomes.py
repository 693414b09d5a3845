"""Every cause of a failed request has its outcome: each over a real connection."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from bot.notify.bot_api import BotApi
from bot.notify.channel import (
    Button,
    Doubtful,
    Later,
    Moved,
    Never,
    Outcome,
    Refused,
    Sent,
    TokenRefused,
    TopicGone,
    Unparsable,
    Written,
)
from bot.notify.outcome import sort_answer
from tests.doubles.telegram import Fault, TelegramDouble

HELLO = Written("<b>hello</b>", ((Button("Why", "why:BTCUSDT"),),))
ERROR_500 = Fault.refuse(500, "Internal Server Error")
RESTART = Fault.refuse(500, "Internal Server Error: restart")


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as double:
        double.add_chat(7, "private")
        double.add_chat(-100, topics=(42,))
        double.add_chat(-5, "group")
        double.move(-5, -1005)
        yield double


@pytest.fixture
async def bot_api(telegram: TelegramDouble) -> AsyncIterator[BotApi]:
    bot = BotApi(telegram.token, telegram.url, read_timeout=20, connect_timeout=20)
    yield bot
    await bot.close()


@pytest.mark.parametrize(
    ("fault", "expected", "arrived"),
    [
        # the connection ended without a whole answer: it may have arrived
        (Fault.drop(acted=True), Doubtful, 1),
        (Fault.drop(acted=False), Doubtful, 0),
        (Fault.rst(acted=True), Doubtful, 1),
        (Fault.rst(acted=False), Doubtful, 0),
        (Fault.cut_short("head"), Doubtful, 1),
        (Fault.cut_short("body"), Doubtful, 1),
        (Fault.too_short(), Doubtful, 1),
        # the server is in trouble: it may have arrived
        (ERROR_500, Doubtful, 0),
        (RESTART, Doubtful, 0),
        (Fault.html(502, acted=True), Doubtful, 1),
        (Fault.html(500), Doubtful, 0),
        (Fault.html(504), Doubtful, 0),
        # somebody else answers: nobody knows
        (Fault.html(200), Doubtful, 0),
        (Fault.html(403), Doubtful, 0),
        (Fault.html(404), Doubtful, 0),
        (Fault.portal(), Doubtful, 0),
        (Fault.text('{"ok":true}'), Doubtful, 1),
        (Fault.text('{"ok":true,"result":true}'), Doubtful, 1),
        (Fault.text("[]"), Doubtful, 1),
        (Fault.text("[" * 100_000), Doubtful, 1),
        (Fault.text('{"ok":true,"result":{"message_id":"x"}}'), Doubtful, 1),
        (Fault.text("", 400), Doubtful, 1),
        # a 429, whoever says it, is a refusal
        (Fault.too_many(3), Later, 0),
        (Fault.html(429), Later, 0),
        (Fault.refuse(429, "Too Many Requests"), Later, 0),
        # what the server refuses for good
        (Fault.refuse(403, "Forbidden: user is deactivated"), Never, 0),
        (Fault.refuse(403, "Forbidden: anything new"), Never, 0),
        (Fault.refuse(400, "Bad Request: BUTTON_DATA_INVALID"), Refused, 0),
        (Fault.refuse(400, "Bad Request: anything new"), Refused, 0),
        (Fault.refuse(400, "Bad Request: TOPIC_CLOSED"), TopicGone, 0),
        (Fault.refuse(401, "Unauthorized"), TokenRefused, 0),
        (Fault.refuse(404, "Not Found"), TokenRefused, 0),
        (Fault.refuse(413, "Request Entity Too Large"), Refused, 0),
    ],
)
async def test_each_failure_has_its_outcome(
    telegram: TelegramDouble, bot_api: BotApi, fault: Fault, expected: type, arrived: int
) -> None:
    telegram.fail_next(fault)
    outcome = await bot_api.send(7, None, HELLO)
    assert type(outcome) is expected, outcome
    assert len(telegram.messages) == arrived
    assert len(telegram.requests) == 1  # nobody tried again
    assert isinstance(await bot_api.send(7, None, HELLO), Sent)


@pytest.mark.parametrize(
    ("parameters", "retry_after"),
    [
        ('{"retry_after": 17}', 17),
        ('{"retry_after": 0.5}', 0.5),
        ('{"retry_after": "17"}', None),
        ('{"retry_after": -1}', None),
        ('{"retry_after": NaN}', None),
        ('{"retry_after": 1e999}', None),
        ("{}", None),
        ("[]", None),
        ("null", None),
    ],
)
async def test_retry_after_is_the_servers_if_it_can_be_waited_for(
    telegram: TelegramDouble, bot_api: BotApi, parameters: str, retry_after: float | None
) -> None:
    body = f'{{"ok":false,"error_code":429,"description":"Slow","parameters":{parameters}}}'
    telegram.fail_next(Fault.text(body, 429, acted=False))
    assert await bot_api.send(7, None, HELLO) == Later("Slow", retry_after)


@pytest.mark.parametrize(
    ("chat_id", "topic", "written", "expected"),
    [
        (999, None, HELLO, Never("Bad Request: chat not found")),
        (-100, 43, HELLO, TopicGone("Bad Request: message thread not found")),
        (-5, None, HELLO, Moved(-1005)),
        (7, None, Written("x" * 4097), Refused("Bad Request: message is too long")),
        (7, None, Written("&amp;" * 7000), Refused("Bad Request: text is too long")),
        (7, None, Written("\u200b"), Refused("Bad Request: text must be non-empty")),
        (
            7,
            None,
            Written("x", ((Button("x", "y" * 65),),)),
            Refused("Bad Request: BUTTON_DATA_INVALID"),
        ),
        (
            7,
            None,
            Written("<b>x"),
            Unparsable(
                "Bad Request: can't parse entities: Can't find end tag corresponding to start "
                'tag "b"'
            ),
        ),
    ],
)
async def test_what_telegram_refuses(
    bot_api: BotApi, chat_id: int, topic: int | None, written: Written, expected: Outcome
) -> None:
    assert await bot_api.send(chat_id, topic, written) == expected


async def test_half_characters_are_replaced_before_they_are_sent(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    written = Written("a\ud83d", ((Button("b\ude80", "c"),),))
    assert isinstance(await bot_api.send(7, None, written), Sent)
    assert telegram.messages[0].text == "a?"
    assert telegram.messages[0].buttons[0][0]["text"] == "b?"


async def test_a_refused_connection_is_certainly_not_sent(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    await telegram.go_down()
    outcome = await bot_api.send(7, None, HELLO)
    assert isinstance(outcome, Later)
    assert outcome.retry_after is None


async def test_a_connection_reset_before_anything_is_read_is_doubtful(
    telegram: TelegramDouble, bot_api: BotApi
) -> None:
    telegram.doomed = 1
    assert isinstance(await bot_api.send(7, None, HELLO), Doubtful)
    assert telegram.messages == []


async def test_a_name_that_does_not_resolve_is_certainly_not_sent() -> None:
    bot = BotApi("1:x", "http://no-such-host.invalid")
    assert isinstance(await bot.send(7, None, HELLO), Later)
    await bot.close()


async def test_a_handshake_that_fails_is_certainly_not_sent(telegram: TelegramDouble) -> None:
    bot = BotApi(telegram.token, telegram.url.replace("http:", "https:"), connect_timeout=0.5)
    assert isinstance(await bot.send(7, None, HELLO), Later)
    await bot.close()
    assert telegram.requests == []


async def test_a_full_pool_is_certainly_not_sent(telegram: TelegramDouble) -> None:
    bot = BotApi(telegram.token, telegram.url, connections=1, connect_timeout=0.4, read_timeout=20)
    telegram.fail_next(Fault.slow(1.2))
    outcomes = await asyncio.gather(bot.send(7, None, HELLO), bot.send(7, None, HELLO))
    assert {type(one) for one in outcomes} == {Sent, Later}
    assert len(telegram.messages) == 1
    await bot.close()


async def test_an_answer_that_does_not_come_in_time_is_doubtful(telegram: TelegramDouble) -> None:
    bot = BotApi(telegram.token, telegram.url, read_timeout=0.3, connect_timeout=20)
    telegram.fail_next(Fault.slow(0.7))
    assert isinstance(await bot.send(7, None, HELLO), Doubtful)
    await telegram.wait_for(lambda: telegram.requests, 30)
    assert len(telegram.messages) == len(telegram.requests) == 1  # nobody tried again
    await bot.close()


async def test_a_connection_that_does_not_come_about_is_certainly_not_sent() -> None:
    with socket.socket() as silent:  # listens with a full backlog
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = silent.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        bot = BotApi("1:x", f"http://127.0.0.1:{address[1]}", connect_timeout=0.3)
        assert isinstance(await bot.send(7, None, HELLO), Later)
        await bot.close()
        for filler in fillers:
            filler.close()


async def test_a_request_that_cannot_be_written_out_is_doubtful() -> None:
    with socket.socket() as deaf:  # takes the connection and reads nothing
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        bot = BotApi("1:x", url, read_timeout=0.5, connect_timeout=20)
        outcome = await bot.send(7, None, Written("x" * 20_000_000))
        assert isinstance(outcome, Doubtful)
        assert "WriteTimeout" in outcome.reason
        await bot.close()


@pytest.mark.parametrize(
    ("status", "description", "expected"),
    [
        (403, "Forbidden: bot was blocked by the user", Never),
        (403, "Forbidden: bot was kicked from the supergroup chat", Never),
        (403, "Forbidden: bot was kicked from the channel chat", Never),
        (403, "Forbidden: bot is not a member of the channel chat", Never),
        (403, "Forbidden: the group chat was deleted", Never),
        (403, "Forbidden: bot can't initiate conversation with a user", Never),
        (403, "Forbidden: bot can't send messages to bots", Never),
        (400, "Bad Request: chat not found", Never),
        (400, "Bad Request: private chat not found", Never),
        (400, "Bad Request: group chat was upgraded to a supergroup chat", Never),  # nowhere named
        (400, "Bad Request: not enough rights to send text messages to the chat", Never),
        (400, "Bad Request: have no rights to send a message", Never),
        (400, "Bad Request: have no write access to the chat", Never),
        (400, "Bad Request: need administrator rights in the channel chat", Never),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN", Never),
        (400, "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN", Never),
        (400, "Bad Request: CHAT_ADMIN_REQUIRED", Never),
        (400, "Bad Request: CHAT_RESTRICTED", Never),
        (400, "Bad Request: CHANNEL_PRIVATE", Never),
        (400, "Bad Request: PEER_ID_INVALID", Never),
        (400, "Bad Request: USER_IS_BLOCKED", Never),
        (400, "Bad Request: message thread not found", TopicGone),
        (400, "Bad Request: message thread is not a forum topic thread", TopicGone),
        (400, "Bad Request: TOPIC_CLOSED", TopicGone),
        (400, "Bad Request: TOPIC_DELETED", TopicGone),
        (403, "Forbidden: TOPIC_CLOSED", TopicGone),
        (400, "Bad Request: can't parse entities: x", Unparsable),
        (400, "Bad Request: ENTITY_BOUNDS_INVALID", Unparsable),
        (400, "Bad Request: message is too long", Refused),
        (400, "Bad Request: message to be replied not found", Refused),
        (400, "Bad Request: message to edit not found", Refused),
        (404, "Not Found", TokenRefused),
        (421, "Misdirected Request: unallowed token specified", TokenRefused),
        (404, None, Doubtful),
        (503, None, Doubtful),
        (429, "Too Many Requests", Later),
        (429, None, Later),
    ],
)
def test_answers_are_sorted_by_their_words(
    status: int, description: str | None, expected: type
) -> None:
    assert type(sort_answer(status, description)) is expected
