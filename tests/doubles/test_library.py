"""python-telegram-bot as it is installed runs on the double: no subclass, nothing replaced."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters, Update
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CallbackContext,
    CallbackQueryHandler,
    ChatMemberHandler,
    CommandHandler,
)

from tests.doubles.telegram import Fault, Limits, TelegramDouble

Context = CallbackContext[Any, Any, Any, Any]
PATIENCE = 20  # s; more than a busy machine needs


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own switch for durations, without which it warns; and no proxy to loopback."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble() as made:
        made.add_chat(7, "private")
        yield made


@pytest.fixture
async def bot(telegram: TelegramDouble) -> AsyncIterator[Bot]:
    async with Bot(telegram.token, f"{telegram.url}/bot") as made:
        yield made


async def start(update: Update, context: Context) -> None:
    assert update.effective_chat is not None
    assert update.effective_message is not None
    button = InlineKeyboardButton("Why", callback_data="why:X")
    await context.bot.send_message(
        update.effective_chat.id,
        "<b>hello</b>",
        parse_mode=ParseMode.HTML,
        reply_markup=InlineKeyboardMarkup([[button]]),
        reply_parameters=ReplyParameters(update.effective_message.message_id),
    )


async def press(update: Update, context: Context) -> None:
    assert update.callback_query is not None
    await update.callback_query.answer("noted")
    await update.callback_query.edit_message_text("because")


def build(telegram: TelegramDouble) -> Any:
    return ApplicationBuilder().token(telegram.token).base_url(f"{telegram.url}/bot").build()


async def test_the_whole_library_runs_on_it(telegram: TelegramDouble) -> None:
    members: list[str] = []
    errors: list[Exception | None] = []

    async def member(update: Update, context: Context) -> None:
        assert update.my_chat_member is not None
        members.append(update.my_chat_member.new_chat_member.status)

    async def failed(update: object, context: Context) -> None:
        errors.append(context.error)

    application: Application[Any, Any, Any, Any, Any, Any] = build(telegram)
    application.add_handler(CommandHandler("start", start))
    application.add_handler(CallbackQueryHandler(press))
    application.add_handler(ChatMemberHandler(member))
    application.add_error_handler(failed)
    async with application:
        assert application.updater is not None
        await application.updater.start_polling(timeout=10)
        await application.start()
        await application.bot.set_my_commands([("start", "Begin")])
        telegram.say(7, "/start@funding_test_bot now", language="zh")
        await telegram.wait_for(lambda: telegram.messages, PATIENCE)
        telegram.press(telegram.messages[0], "why:X")
        await telegram.wait_for(lambda: telegram.messages[0].versions, PATIENCE)
        telegram.membership(7, 7, "kicked")
        await telegram.wait_for(lambda: telegram.waiting == 0, PATIENCE)
        await application.updater.stop()
        await application.stop()
    (message,) = telegram.messages
    assert (message.versions, message.text, message.data) == (["hello"], "because", [])
    assert message.reply_to is not None
    assert telegram.answers[0]["text"] == "noted"
    assert telegram.commands["default", ""] == [{"command": "start", "description": "Begin"}]
    assert (members, errors) == (["kicked"], [])


async def test_each_of_its_errors_can_be_had(telegram: TelegramDouble, bot: Bot) -> None:
    async def failure(fault: Fault | None = None, chat_id: int = 7, text: str = "x") -> str:
        if fault is not None:
            telegram.fail_next(fault)
        try:
            await bot.send_message(chat_id, text, parse_mode=ParseMode.HTML, read_timeout=0.5)
        except TelegramError as error:
            return f"{type(error).__name__}: {error}"
        return "sent"

    telegram.add_chat(-5, "group")
    telegram.move(-5, -1005)
    telegram.block(8)
    said = [
        await failure(),
        await failure(Fault.too_many(17)),
        await failure(chat_id=8),
        await failure(chat_id=12345),
        await failure(text="<b>x"),
        await failure(chat_id=-5),
        await failure(Fault.slow(1.5)),
        await failure(Fault.html(502)),
        await failure(Fault.rst(acted=True)),
    ]
    kinds = [one.partition(":")[0] for one in said]
    assert kinds == [
        "sent", "RetryAfter", "Forbidden", "BadRequest", "BadRequest", "ChatMigrated", "TimedOut",
        "NetworkError", "NetworkError",
    ], said  # fmt: skip
    assert said[2] == "Forbidden: Forbidden: bot was blocked by the user"
    assert said[3] == "BadRequest: Chat not found"


async def test_the_limits_reach_it_as_retry_after() -> None:
    async with (
        TelegramDouble(limits=Limits()) as telegram,
        Bot(telegram.token, f"{telegram.url}/bot") as bot,
    ):
        telegram.add_chat(7)
        await bot.send_message(7, "x")
        with pytest.raises(RetryAfter):
            await bot.send_message(7, "x")


async def test_a_second_program_is_a_conflict(telegram: TelegramDouble, bot: Bot) -> None:
    errors: list[TelegramError] = []
    application = build(telegram)
    async with application:
        await application.updater.start_polling(timeout=10, error_callback=errors.append)
        await telegram.wait_for(lambda: telegram.polling, PATIENCE)
        assert await bot.get_updates(offset=-5, timeout=1) == ()
        await telegram.wait_for(lambda: errors, PATIENCE)
        await application.updater.stop()
    assert isinstance(errors[0], Conflict)


async def test_a_wrong_token_is_an_invalid_one(telegram: TelegramDouble) -> None:
    with pytest.raises(InvalidToken):
        async with Bot("123456:wrong", f"{telegram.url}/bot"):
            pass


@pytest.mark.parametrize(
    ("special", "general"),
    [(Forbidden, TelegramError), (BadRequest, NetworkError), (TimedOut, NetworkError)],
)
def test_what_it_folds_together(special: type[Exception], general: type[Exception]) -> None:
    """Why our own channel looks at causes instead."""
    assert issubclass(special, general)
    assert not issubclass(ChatMigrated, NetworkError)
