"""The double judges as the Bot API does (docs/telegram-double.md says where each rule is from)."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.bot_api_client import Api
from tests.doubles.telegram import Fault, Limits, TelegramDouble

TABLE = Path(__file__).parents[2] / "docs" / "telegram-double.md"


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
        made.add_chat(-100, topics=(42,))
        yield made


@pytest.fixture
async def api(telegram: TelegramDouble) -> AsyncIterator[Api]:
    async with Api(f"{telegram.url}/bot{telegram.token}") as made:
        yield made


def keyboard(text: str = "x", data: str = "y") -> dict[str, Any]:
    return {"inline_keyboard": [[{"text": text, "callback_data": data}]]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "message text is empty"),
        ("   ", "text must be non-empty"),
        ("\u200b\u2800\t", "text must be non-empty"),
        ("<b></b>", "text must be non-empty"),
        ("x" * 4097, "message is too long"),
        ("🚀" * 2049, "message is too long"),
        ("<b>" + "&amp;" * 7000 + "</b>", "text is too long"),
        ("币" * 10_923, "text is too long"),
        ("<b>x", "can't parse entities: Can't find end tag corresponding to start tag \"b\""),
    ],
)
async def test_texts_that_are_refused(api: Api, text: str, words: str) -> None:
    said = await api.refusal("sendMessage", chat_id=7, text=text, parse_mode="HTML")
    assert said == f"Bad Request: {words}"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("x" * 4096, "html"),
        ("🚀" * 2048, "HTML"),
        ("<b>" + "&amp;" * 4096 + "</b>", "HTML"),
        ("a < b", ""),
        ("  " + "x" * 4096 + "\n\n", "HTML"),
    ],
)
async def test_texts_that_are_taken(
    telegram: TelegramDouble, api: Api, text: str, mode: str
) -> None:
    await api.result("sendMessage", chat_id=7, text=text, parse_mode=mode)
    assert len(telegram.messages) == 1


async def test_a_message_is_shown_as_it_was_meant(telegram: TelegramDouble, api: Api) -> None:
    sent = await api.result(
        "sendMessage", chat_id=-100, text=" 🚀 <b>x</b>\t&amp;\r\n", parse_mode="HTML",
        message_thread_id=42, disable_notification=True, reply_markup=keyboard(),
    )  # fmt: skip
    (message,) = telegram.messages
    assert (sent["text"], message.topic, message.silent) == ("🚀 x &", 42, True)
    assert sent["entities"] == [{"type": "bold", "offset": 3, "length": 1}]
    assert sent["reply_markup"] == keyboard()
    assert (sent["chat"]["is_forum"], sent["is_topic_message"]) == (True, True)


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        (keyboard(data="x" * 65), "BUTTON_DATA_INVALID"),
        (keyboard(data="币" * 22), "BUTTON_DATA_INVALID"),
        (
            keyboard(data=""),
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (keyboard(text=""), "inline keyboard button text must be non-empty"),
        (
            {"inline_keyboard": [[{"callback_data": "x"}]]},
            "can't parse inline keyboard button: Can't find field \"text\"",
        ),
        (
            {"inline_keyboard": [{}]},
            'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays',
        ),
        ("{", "can't parse reply keyboard markup JSON object"),
    ],
)
async def test_buttons_that_are_refused(api: Api, markup: object, words: str) -> None:
    said = await api.refusal("sendMessage", chat_id=7, text="x", reply_markup=markup)
    assert said == f"Bad Request: {words}"


async def test_button_data_has_1_to_64_bytes(telegram: TelegramDouble, api: Api) -> None:
    for data in ("x", "x" * 64, "币" * 21):
        await api.result("sendMessage", chat_id=7, text="x", reply_markup=keyboard(data=data))
    assert [message.data for message in telegram.messages] == [["x"], ["x" * 64], ["币" * 21]]


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: bot was kicked from the channel chat"),
        (403, "Forbidden: bot is not a member of the channel chat"),
        (403, "Forbidden: the group chat was deleted"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN"),
    ],
)
async def test_a_chat_that_cannot_be_written_to_says_why(
    telegram: TelegramDouble, api: Api, code: int, description: str
) -> None:
    telegram.refuse(-100, code, description)
    said = await api.ask("sendMessage", chat_id=-100, text="x")
    assert (said["error_code"], said["description"]) == (code, description)
    telegram.unblock(-100)
    assert (await api.ask("sendMessage", chat_id=-100, text="x"))["ok"]


@pytest.mark.parametrize(
    ("chat_id", "words"),
    [
        (12345, "chat not found"),
        ("@nobody", "chat not found"),
        ("", "chat_id is empty"),
    ],
)
async def test_a_chat_that_nobody_knows(api: Api, chat_id: object, words: str) -> None:
    said = await api.refusal("sendMessage", chat_id=chat_id, text="x")
    assert said == f"Bad Request: {words}"


async def test_a_group_that_moved_names_its_new_id_and_tells_in_both(
    telegram: TelegramDouble, api: Api
) -> None:
    telegram.add_chat(-5, "group")
    telegram.move(-5, -1005, told=True)
    said = await api.ask("sendMessage", chat_id=-5, text="x")
    assert said["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
    assert said["parameters"] == {"migrate_to_chat_id": -1005}
    updates = [one["message"] for one in await api.result("getUpdates")]
    assert updates[0]["migrate_to_chat_id"] == updates[1]["chat"]["id"] == -1005
    assert updates[1]["migrate_from_chat_id"] == -5
    assert (await api.ask("sendMessage", chat_id=-1005, text="x"))["ok"]


async def test_topics_exist_are_closed_and_are_gone(telegram: TelegramDouble, api: Api) -> None:
    async def said(topic: int | None) -> str:
        answer = await api.ask("sendMessage", chat_id=-100, text="x", message_thread_id=topic)
        return str(answer.get("description", "ok"))

    assert await said(42) == "ok"
    for unknown in (43, 1):  # the general topic has no number that can be written to
        assert await said(unknown) == "Bad Request: message thread not found"
    telegram.close_topic(-100, 42)
    assert await said(42) == "Bad Request: TOPIC_CLOSED"
    telegram.delete_topic(-100, 42)
    assert await said(42) == "Bad Request: message thread not found"
    telegram.close_topic(-100, None)
    assert (await api.refusal("sendMessage", chat_id=-100, text="x")) == "Bad Request: TOPIC_CLOSED"


async def test_a_reply_needs_its_message_or_leave_to_do_without(
    telegram: TelegramDouble, api: Api
) -> None:
    first = await api.result("sendMessage", chat_id=7, text="x")
    telegram.say(7, "hi")
    theirs = (await api.result("getUpdates"))[0]["message"]["message_id"]
    for message_id in (first["message_id"], theirs):
        reply = {"message_id": message_id}
        sent = await api.result("sendMessage", chat_id=7, text="x", reply_parameters=reply)
        assert sent["reply_to_message"]["message_id"] == message_id
    telegram.delete(telegram.messages[0])
    gone = {"message_id": first["message_id"]}
    said = await api.refusal("sendMessage", chat_id=7, text="x", reply_parameters=gone)
    assert said == "Bad Request: message to be replied not found"
    gone["allow_sending_without_reply"] = True
    sent = await api.result("sendMessage", chat_id=7, text="x", reply_parameters=gone)
    assert "reply_to_message" not in sent


async def test_what_can_be_edited(telegram: TelegramDouble, api: Api) -> None:
    async def edit(message_id: object, text: str = "<b>x</b>", **more: object) -> str:
        answer = await api.ask(
            "editMessageText",
            chat_id=7,
            message_id=message_id,
            text=text,
            parse_mode="HTML",
            **more,
        )
        return str(answer.get("description", "ok")).removeprefix("Bad Request: ")[:23]

    sent = await api.result("sendMessage", chat_id=7, text="x", reply_markup=keyboard())
    mine = sent["message_id"]
    assert await edit(mine) == "ok"  # bold now, and without its buttons
    assert (telegram.messages[0].buttons, telegram.messages[0].versions) == ([], ["x"])
    assert await edit(mine, "<strong>x</strong>") == "message is not modified"
    assert await edit(mine, "<b>x</b>", reply_markup=keyboard()) == "ok"
    assert await edit(999) == "message to edit not fou"
    assert await edit("") == "message identifier is n"
    telegram.say(7, "theirs")
    theirs = (await api.result("getUpdates"))[0]["message"]["message_id"]
    assert await edit(theirs) == "message can't be edited"
    telegram.delete(telegram.messages[0])
    assert await edit(mine, "y") == "message to edit not fou"


async def test_a_press_is_answered_once_and_in_time(telegram: TelegramDouble, api: Api) -> None:
    await api.result("sendMessage", chat_id=7, text="x", reply_markup=keyboard())
    too_old = "Bad Request: query is too old and response timeout expired or query ID is invalid"

    async def pressed() -> str:
        telegram.press(telegram.messages[0], "y")
        update = (await api.result("getUpdates", offset=-1))[0]
        return str(update["callback_query"]["id"])

    query = await pressed()
    long = await api.refusal("answerCallbackQuery", callback_query_id=query, text="x" * 201)
    assert long == "Bad Request: MESSAGE_TOO_LONG"
    assert await api.result("answerCallbackQuery", callback_query_id=query, text="x" * 200)
    assert await api.refusal("answerCallbackQuery", callback_query_id=query) == too_old
    query = await pressed()
    telegram.expire_presses()
    assert await api.refusal("answerCallbackQuery", callback_query_id=query) == too_old


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/bot123456:wrong/getMe", 401, "Unauthorized"),
        ("/botnonsense/getMe", 404, "Not Found"),
        ("/bot{token}/getNothing", 404, "Not Found: method not found"),
        ("/somewhere", 404, "Not Found"),
    ],
)
async def test_addresses_that_are_wrong(
    telegram: TelegramDouble, api: Api, path: str, status: int, words: str
) -> None:
    answer = await api.client.get(telegram.url + path.format(token=telegram.token))
    assert (answer.status_code, answer.json()["description"]) == (status, words)


async def test_a_bot_that_was_done_away_with(telegram: TelegramDouble, api: Api) -> None:
    telegram.deactivated = True
    assert await api.ask("getMe") == {"ok": False, "error_code": 401, "description": "Unauthorized"}


async def test_parameters_come_in_the_address_as_a_form_or_as_json(
    telegram: TelegramDouble, api: Api
) -> None:
    address = f"{api.address}/SENDmessage"
    await api.client.get(address, params={"chat_id": 7, "text": "a+b&c"})
    await api.client.post(address, data={"chat_id": 7, "text": "a+b&c"})
    await api.client.post(address, json={"chat_id": 7, "text": "a+b&c"})
    assert [message.text for message in telegram.messages] == ["a+b&c"] * 3
    large = await api.client.post(address, data={"chat_id": 7, "text": "x" * (1 << 20)})
    assert large.status_code == 413


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


def gone(api: Api, telegram: TelegramDouble) -> type[Exception]:
    return httpx.HTTPError


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
    with pytest.raises(error):
        await api.client.post(
            f"{api.address}/sendMessage", data={"chat_id": 7, "text": "x"}, timeout=1
        )
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
