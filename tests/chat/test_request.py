"""Requests out of raw updates."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.request import Command, RequestKind, read_command, read_update
from tests.chat.world import ADMIN, GROUP, message, query


def update(**content: Any) -> dict[str, Any]:
    return {"update_id": 5, **content}


def test_a_message_is_read_whole() -> None:
    request = read_update(update(message=message("/id", ADMIN, GROUP, "zh-hans", topic=42)))
    assert request is not None
    assert (request.update_id, request.chat_id, request.chat_kind) == (5, GROUP, "supergroup")
    assert (request.user_id, request.user_language, request.topic) == (ADMIN, "zh-hans", 42)
    assert (request.kind, request.text, request.chat_title) == (
        RequestKind.TEXT, "/id", "Desk <1>",
    )  # fmt: skip


def test_a_thread_of_replies_is_no_topic() -> None:
    raw = message("/id", chat=GROUP) | {"message_thread_id": 17}
    request = read_update(update(message=raw))
    assert request is not None
    assert request.topic is None


def test_a_press_is_of_the_person_and_not_of_the_bot_that_wrote_the_message() -> None:
    request = read_update(update(callback_query=query("why:BTCUSDT", 9, GROUP)))
    assert request is not None
    assert (request.kind, request.user_id, request.chat_id) == (RequestKind.PRESS, 9, GROUP)
    assert (request.data, request.callback_id, request.message_id) == ("why:BTCUSDT", "4242", 99)


@pytest.mark.parametrize(
    ("change", "user_id"),
    [
        ({}, ADMIN),
        ({"sender_chat": {"id": GROUP, "type": "supergroup"}}, 0),
        ({"from": {"id": 3, "is_bot": True}}, 0),
        ({"from": None}, 0),
        ({"from": {"id": True}}, 0),
        ({"from": {"id": 2**70}}, 0),
    ],
)
def test_only_a_person_has_a_user_id(change: dict[str, Any], user_id: int) -> None:
    request = read_update(update(message=message("/list", ADMIN, GROUP) | change))
    assert request is not None
    assert request.user_id == user_id


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"message": message("hello")}, RequestKind.TEXT),
        ({"message": message("")}, RequestKind.SIGN),
        ({"edited_message": message("/unwatch all")}, RequestKind.SIGN),
        ({"channel_post": message("/unwatch all")}, RequestKind.SIGN),
        ({"message": message("") | {"migrate_to_chat_id": -100}}, RequestKind.MOVED),
        ({"my_chat_member": message("") | {"new_chat_member": {"status": "kicked"}}},
         RequestKind.GONE),
        ({"my_chat_member": message("") | {"new_chat_member": {"status": "left"}}},
         RequestKind.GONE),
        ({"my_chat_member": message("") | {"new_chat_member": {"status": "member"}}},
         RequestKind.SIGN),
        ({"my_chat_member": message("") | {"new_chat_member": None}}, RequestKind.SIGN),
    ],
)  # fmt: skip
def test_each_kind_of_update_is_judged(content: dict[str, Any], kind: RequestKind) -> None:
    request = read_update(update(**content))
    assert request is not None
    assert request.kind is kind


@pytest.mark.parametrize(
    "raw",
    [
        None, [], "x", 3, {}, {"update_id": "5"}, {"update_id": 5},
        {"update_id": 5, "poll": {}}, {"update_id": 5, "message": None},
        {"update_id": 5, "message": {"chat": {"id": "7", "type": "private"}, "text": "/id"}},
        {"update_id": 5, "message": {"chat": {"id": 7, "type": "planet"}, "text": "/id"}},
        {"update_id": 5, "callback_query": {"id": "1", "inline_message_id": "x", "data": "a"}},
        {"message": {"chat": {"id": 7, "type": "private"}, "text": "/id"}},
    ],
)  # fmt: skip
def test_an_update_of_another_shape_is_passed_over(raw: object) -> None:
    assert read_update(raw) is None


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats()
_KEYS = st.sampled_from([
    "update_id", "message", "callback_query", "my_chat_member", "chat", "from", "id", "type",
    "text", "data", "sender_chat", "migrate_to_chat_id", "is_topic_message", "message_thread_id",
])  # fmt: skip
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6)
)


@given(_JSON)
def test_no_update_makes_reading_fail(raw: object) -> None:
    request = read_update(raw)
    assert request is None or request.update_id


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/list", Command("list", "", "", 5)),
        ("/LIST", Command("list", "", "", 5)),
        ("/watch  BTCUSDT rate>1% ", Command("watch", "", "BTCUSDT rate>1%", 8)),
        ("/watch\nBTCUSDT rate>1%", Command("watch", "", "BTCUSDT rate>1%", 7)),
        ("/why@Funding_test_bot BTC", Command("why", "Funding_test_bot", "BTC", 22)),
        ("hello", None),
        (" /list", None),
        ("/", None),
        ("/查", None),
        ("/list!", None),
        ("/list@", None),
    ],
)
def test_a_command_is_read_at_the_very_beginning(text: str, command: Command | None) -> None:
    assert read_command(text) == command


@pytest.mark.parametrize(
    ("addressed", "own", "ours"),
    [("", "me_bot", True), ("me_bot", "me_bot", True), ("ME_bot", "me_Bot", True),
     ("you_bot", "me_bot", False), ("you_bot", "", True)],
)  # fmt: skip
def test_a_command_for_another_bot_is_not_ours(addressed: str, own: str, ours: bool) -> None:
    assert Command("list", addressed, "", 5).is_for(own) is ours
