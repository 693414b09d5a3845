"""/resume and its button: what is said, what is committed, and whom it obeys."""

import pytest

from bot.chat.access import Access
from bot.chat.request import read_update
from bot.chat.world import PausedRule
from bot.notify.keyboard import rule_handle
from bot.notify.markup import plain_text
from bot.store.records import OutboxKind
from tests.alerts.build import rule
from tests.chat.world import ADMIN, GROUP, GUEST, NOW, FakeWorld, message, query, said

OPEN = Access(frozenset({ADMIN}), is_open=True)
HOT = PausedRule("file:hot-longs", "hot-longs", NOW - 60_000, 37, message_id=501)
SOON = PausedRule("file:soon", "soon", NOW, 0, message_id=502)
THIRD = PausedRule(f"watch:{ADMIN}:3", "#3", NOW, 2)


def world_with(*paused: PausedRule, chat: int = ADMIN) -> FakeWorld:
    world = FakeWorld()
    world.on_hold[chat] = list(paused)
    world.file_rules[chat] = [rule("rate > 1%", name="calm"), rule("rate > 1%", name="soon")]
    return world


def button(one: PausedRule) -> str:
    return f"resume:{rule_handle(one.rule_id)}"


@pytest.mark.parametrize(
    ("text", "resumed"),
    [
        ("/resume", [HOT, SOON, THIRD]),
        ("/resume hot-longs", [HOT]),
        ("/resume  HOT-Longs ", [HOT]),
        ("/resume 3", [THIRD]),
        ("/resume #3", [THIRD]),
        ("/resume soon", [SOON]),
    ],
)
def test_it_resumes_what_is_named_or_everything(text: str, resumed: list[PausedRule]) -> None:
    answer = world_with(HOT, SOON, THIRD).say(text)
    assert answer.resumed == tuple((ADMIN, one.rule_id) for one in resumed)
    assert all(one.name in said(answer) for one in resumed)
    assert answer.changes


def test_the_answer_says_what_follows() -> None:
    answer = world_with(HOT, SOON).say("/resume")
    assert said(answer).splitlines() == [
        "▶️ hot-longs goes on; 37 held alerts follow together.",
        "▶️ soon goes on; nothing of it was held.",
        "What is too late by now is only counted.",
    ]


def test_notices_of_pauses_that_are_over_lose_their_button() -> None:
    edits = world_with(HOT, SOON, THIRD).say("/resume").edits
    assert [(one.edit_of, one.buttons) for one in edits] == [(501, ()), (502, ())]
    assert "hot-longs goes on" in plain_text(edits[0].text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/resume calm", "calm is not paused in this chat; its alerts are sent."),
        ("/resume hot-long", "Did you mean hot-longs?"),
        ("/resume x<y", "No rule of this chat is called x<y. Paused: hot-longs."),
    ],
)
def test_what_is_not_paused_is_said_and_changes_nothing(text: str, says: str) -> None:
    answer = world_with(HOT).say(text)
    assert says in said(answer)
    assert not answer.changes
    assert answer.edits == ()


def test_the_button_resumes_its_rule_and_its_message_says_so() -> None:
    world = world_with(HOT, SOON)
    answer = world.press(button(HOT))
    assert answer.resumed == ((ADMIN, HOT.rule_id),)
    # The message under which it was pressed, and the present notice where it is another one.
    assert [(edit.edit_of, edit.buttons) for edit in answer.edits] == [(99, ()), (501, ())]
    assert all("37 held alerts follow" in plain_text(edit.text) for edit in answer.edits)
    assert "37 held alerts follow" in answer.toast
    assert "<" not in answer.toast
    assert [one.name for one in world.paused(ADMIN)] == ["soon"]


def test_pressed_again_it_says_that_nothing_is_paused_and_the_message_says_so() -> None:
    world = world_with(SOON)
    world.press(button(SOON))
    again = world.press(button(SOON))
    assert "not paused here any more" in again.toast
    assert (again.changes, again.replies) == (False, ())
    assert [(one.edit_of, one.buttons) for one in again.edits] == [(99, ())]


def test_pressed_when_the_rule_is_gone_it_says_so_and_the_button_goes() -> None:
    answer = world_with().press(button(HOT))
    assert "This rule is no more" in answer.toast
    assert [(one.edit_of, one.buttons) for one in answer.edits] == [(99, ())]
    assert not answer.changes


def test_garbage_in_the_button_is_answered() -> None:
    assert world_with(HOT).press("resume:").toast
    assert world_with(HOT).press("resume:zzz").resumed == ()


def test_a_pause_is_lifted_by_admins_only_and_in_ones_own_chat() -> None:
    world = world_with(HOT, chat=GROUP)
    for refused in (
        world.say("/resume", GUEST, OPEN, chat=GROUP),
        world.press(button(HOT), GUEST, OPEN, chat=GROUP),
        world.press(button(HOT), GUEST, chat=GROUP),
    ):
        assert refused.resumed == ()
        assert "Only the admins" in said(refused) + refused.toast
    assert world.press(button(HOT), ADMIN, OPEN, chat=GROUP).resumed
    own = world_with(HOT, chat=GUEST)
    assert own.say("/resume", GUEST, OPEN).resumed


def test_other_chats_stay_paused() -> None:
    world = world_with(HOT, chat=GROUP)
    assert "No rule is paused in this chat" in said(world.say("/resume"))
    assert world.paused(GROUP)


def test_resuming_is_committed_with_the_update_and_edits_come_behind_older_ones() -> None:
    world = world_with(HOT)
    for content in ({"message": message("/resume")}, {"callback_query": query(button(HOT))}):
        request = read_update({"update_id": 77, **content})
        assert request is not None
        commit = world.decide(request).commit(request, NOW, {})
        assert commit.resumed == ((ADMIN, HOT.rule_id),)
        assert commit.update_id == 77
        assert commit.outbox[-1].kind is OutboxKind.EDIT


def test_many_paused_rules_are_answered_in_one_message() -> None:
    many = [PausedRule(f"file:r{n}", f"r{n}" + "x" * 200, NOW, n, n) for n in range(1, 60)]
    answer = world_with(*many).say("/resume")
    assert len(answer.resumed) == 59
    assert "and 39 more" in said(answer)


def test_the_list_and_the_status_show_what_is_paused() -> None:
    world = world_with(SOON)
    world.say("/watch BTC rate > 0.05%")
    world.on_hold[ADMIN].append(PausedRule(f"watch:{ADMIN}:1", "#1", NOW, 12))
    rows = said(world.say("/list"))
    assert "paused, 12 held: /resume 1" in rows
    assert "paused, 0 held: /resume soon" in rows
    assert rows.count("⏸") == 2
    assert "⏸ #1 is paused here, 12 alerts held: /resume" in said(world.say("/status"))
    world.on_hold[ADMIN][-1] = PausedRule(f"watch:{ADMIN}:1", "#1", NOW, 1)
    assert "⏸ #1 is paused here, 1 alert held: /resume" in said(world.say("/status"))
