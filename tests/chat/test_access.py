"""Who may do what, as a matrix."""

import pytest

from bot.chat.access import WATCHES_PER_CHAT, Access, Need, Reason
from bot.chat.request import Request

ADMIN, OTHER, GROUP = 7, 8, -100


def request(user: int, chat: int) -> Request:
    return Request(1, chat, "private" if chat > 0 else "supergroup", user_id=user)


IN = {"own": OTHER, "group": GROUP}


@pytest.mark.parametrize(
    ("is_open", "where", "need", "allowed", "answered"),
    [
        (False, "own", Need.ID, True, True),
        (False, "own", Need.LOOK, False, False),
        (False, "own", Need.CHANGE, False, False),
        (False, "group", Need.ID, True, True),
        (False, "group", Need.LOOK, False, False),
        (False, "group", Need.CHANGE, False, False),
        (True, "own", Need.ID, True, True),
        (True, "own", Need.LOOK, True, True),
        (True, "own", Need.CHANGE, True, True),
        (True, "group", Need.ID, True, True),
        (True, "group", Need.LOOK, True, True),
        (True, "group", Need.CHANGE, False, True),
    ],
)
def test_what_a_command_of_a_non_admin_may(
    is_open: bool, where: str, need: Need, allowed: bool, answered: bool
) -> None:
    verdict = Access(frozenset({ADMIN}), is_open).command(request(OTHER, IN[where]), need)
    assert (verdict.allowed, verdict.answered) == (allowed, answered)


@pytest.mark.parametrize(
    ("is_open", "where", "need", "allowed"),
    [
        (False, "own", Need.LOOK, True),
        (False, "own", Need.CHANGE, False),
        (False, "group", Need.LOOK, True),
        (False, "group", Need.CHANGE, False),
        (True, "own", Need.LOOK, True),
        (True, "own", Need.CHANGE, True),
        (True, "group", Need.LOOK, True),
        (True, "group", Need.CHANGE, False),
    ],
)
def test_what_a_button_does_for_a_non_admin(
    is_open: bool, where: str, need: Need, allowed: bool
) -> None:
    verdict = Access(frozenset({ADMIN}), is_open).press(request(OTHER, IN[where]), need)
    assert verdict.allowed is allowed
    assert verdict.answered


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("chat", [ADMIN, GROUP])
@pytest.mark.parametrize("need", Need)
def test_an_admin_may_everything_everywhere(is_open: bool, chat: int, need: Need) -> None:
    access = Access(frozenset({ADMIN}), is_open)
    assert access.command(request(ADMIN, chat), need).allowed
    assert access.press(request(ADMIN, chat), need).allowed
    assert access.quota(request(ADMIN, chat)) is None


def test_nobody_in_particular_is_no_admin() -> None:
    access = Access(frozenset({0}), is_open=True)
    assert not access.is_admin(request(0, GROUP))
    assert access.command(request(0, GROUP), Need.LOOK).reason is Reason.STRANGER


def test_a_non_admin_has_a_quota() -> None:
    assert Access(is_open=True).quota(request(OTHER, OTHER)) == WATCHES_PER_CHAT


@pytest.mark.parametrize(
    ("code", "given", "user", "chat", "claims"),
    [
        ("s3cret", "s3cret", OTHER, OTHER, True),
        ("s3cret", "S3CRET", OTHER, OTHER, False),
        ("s3cret", "", OTHER, OTHER, False),
        ("s3cret", "sécret", OTHER, OTHER, False),
        ("s3cret", "s3cret", OTHER, GROUP, False),
        ("s3cret", "s3cret", 0, OTHER, False),
        (None, "", OTHER, OTHER, False),
    ],
)
def test_only_the_code_in_a_private_chat_claims(
    code: str | None, given: str, user: int, chat: int, claims: bool
) -> None:
    assert Access(claim_code=code).is_claim(request(user, chat), given) is claims
