"""Who may do what. Private by default: a stranger hears nothing but the answer to /id."""

import hmac
from dataclasses import dataclass
from enum import StrEnum

from bot.chat.request import Request

WATCHES_PER_CHAT = 50  # for whoever is no admin; admins have no quota


class Need(StrEnum):
    """What a command or a button asks for."""

    ID = "everyone"  # says who one is: strangers need it to be let in
    LOOK = "look"
    CHANGE = "change"


class Reason(StrEnum):
    """Why somebody may, or may not."""

    ID_FOR_EVERYONE = "id_for_everyone"
    ADMIN = "admin"
    OWN_CHAT = "own_chat"  # access is open, and it is their private chat
    CLAIM = "claim"  # holds the one-time code of the first start
    LOOKING = "looking"
    STRANGER = "stranger"
    GROUP_NEEDS_ADMIN = "group_needs_admin"
    BUTTON_NEEDS_ADMIN = "button_needs_admin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`answered` says whether a refusal is told: a stranger does not learn of it."""

    allowed: bool
    reason: Reason
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in: `admins` are the settings' and those who claimed it by code.

    `claim_code` is the one-time code of a start without admins; None where there is nothing to
    claim.
    """

    admins: frozenset[int] = frozenset()
    is_open: bool = False
    claim_code: str | None = None

    def is_admin(self, request: Request) -> bool:
        return request.user_id > 0 and request.user_id in self.admins

    def is_claim(self, request: Request, code: str) -> bool:
        """Whether this is the code, in a private chat, where nobody else can have read it."""
        if self.claim_code is None or not request.is_private or request.user_id <= 0:
            return False
        return hmac.compare_digest(code.encode(), self.claim_code.encode())

    def command(self, request: Request, need: Need) -> Verdict:
        """Whether a command is obeyed."""
        if need is Need.ID:
            return Verdict(True, Reason.ID_FOR_EVERYONE)
        if self.is_admin(request):
            return Verdict(True, Reason.ADMIN)
        if not self.is_open or request.user_id <= 0:
            return Verdict(False, Reason.STRANGER, answered=False)
        if request.is_private:
            return Verdict(True, Reason.OWN_CHAT)
        if need is Need.LOOK:
            return Verdict(True, Reason.LOOKING)
        return Verdict(False, Reason.GROUP_NEEDS_ADMIN)

    def press(self, request: Request, need: Need) -> Verdict:
        """Whether a button works: whoever can read a message may look, not change."""
        if need is not Need.CHANGE:
            return Verdict(True, Reason.LOOKING)
        verdict = self.command(request, need)
        if verdict.reason is Reason.STRANGER:
            return Verdict(False, Reason.BUTTON_NEEDS_ADMIN)
        return verdict

    def quota(self, request: Request) -> int | None:
        """How many watches this chat may hold on this user's word; None: as many as wanted."""
        return None if self.is_admin(request) else WATCHES_PER_CHAT
