"""The double judges as the Bot API does (docs/telegram-double.md says where each rule is from)."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.bot_api_client import Api
from tests.doubles.telegram import TelegramDouble

TABLE = Path(__file__).parents[2] / "docs" / "telegram-double.md"


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
        content = {"text": text, "parse_mode": "HTML", **more}
        answer = await api.ask("editMessageText", chat_id=7, message_id=message_id, **content)
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


def test_every_test_that_the_table_names_exists_and_every_rule_names_one() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    rules = [row for row in rows if row.count("|") == 5 and not row.startswith("| rule")]
    assert len(rules) > 40
    assert [row for row in rules if not re.search(r"`test_\w+`", row)] == []
    sources = [*TABLE.parents[1].glob("tests/doubles/test_*.py"), Path(__file__)]
    texts = [source.read_text() for source in sources]
    known = {name for text in texts for name in re.findall(r"def (test_\w+)", text)}
    named = {test for row in rules for test in re.findall(r"`(test_\w+)`", row)}
    assert named - known == set()
