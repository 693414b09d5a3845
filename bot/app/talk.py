"""The Telegram side of a run: the poll loop, the menu, the first claim, what a press looks up."""

import asyncio
import contextlib
import logging
import secrets
import time

from bot.app.live import CLAIM_CODE, Live
from bot.app.sending_clock import steady
from bot.app.storms import Storms
from bot.app.venue import Venue
from bot.app.world import LiveWorld
from bot.chat.access import Access
from bot.chat.answer import Answer
from bot.chat.decide import apology, decide
from bot.chat.registry import menus
from bot.chat.request import Request, RequestKind, read_command
from bot.chat.router import OnFault, Router
from bot.notify.batch import items_of
from bot.notify.bot_api import BotApi, BotApiError, TokenRefusedError
from bot.notify.port import TOKEN, UNREACHABLE
from bot.notify.table import write_more
from bot.store.port import Store, StoreError
from bot.store.records import ChatRow

# Commands whose answer looks at symbols that the stream may not bring.
_LOOKS = frozenset({"watch", "funding", "top", "why"})
_LISTS = frozenset({"list", "status"})  # commands and presses that also show what is paused
_RETRY = 30.0  # s between attempts to learn the bot's name and to set its menu
_log = logging.getLogger(__name__)


class Talk:
    """Reads what people write, and answers."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is another side of a conversation
        self,
        api: BotApi,
        live: Live,
        world: LiveWorld,
        venue: Venue,
        store: Store,
        storms: Storms,
        report: OnFault,
    ) -> None:
        self._api = api
        self._live = live
        self._world = world
        self._venue = venue
        self._store = store
        self._storms = storms
        self._report = report
        self._base: ChatRow | None = None  # the chat's row on which the last answer was decided
        self.router = Router(
            api,
            self._decide,
            self._apologise,
            self._apply,
            report,
            look_up=self._look_up,
            clock=steady,
        )

    async def introduce(self) -> None:
        """Learns the bot's name and sets the menu, as soon as Telegram can be reached."""
        while True:
            try:
                me = await self._api.get_me()
                self.router.last_answer = time.monotonic()  # the first poll may take half a minute
                for kind in (UNREACHABLE, TOKEN):  # an earlier run may have told it
                    self._report(kind, None)
                self._world.bot_name = str(me.get("username", ""))
                await self._api.set_commands(menus())
            except TokenRefusedError:
                raise
            except BotApiError as error:
                _log.warning("Telegram: %s", error, extra={"action": "telegram_unreachable"})
                await asyncio.sleep(_RETRY)
            else:
                return

    def _decide(self, request: Request) -> Answer:
        self._base = self._live.desk.chats.get(request.chat_id)
        return decide(request, self._world, self._access())

    def _apologise(self, request: Request) -> Answer:
        return apology(request, self._world, self._access())

    async def _apply(self, request: Request, answer: Answer) -> None:
        await self._live.apply(request, answer, self._base)
        if answer.watches or answer.unwatched:
            self._venue.follow_rules()

    def _access(self) -> Access:
        desk = self._live.desk
        return Access(desk.admins, desk.open_to_all, desk.claim_code)

    async def _look_up(self, request: Request) -> None:
        """Fetches what the answer may need and nobody has at hand."""
        command = read_command(request.text)
        if command is not None and command.name in _LOOKS:
            await self._venue.quote()
        if command is not None and command.name == "status":
            self._world.waiting = await self._waiting()
        prefix, _, argument = request.data.partition(":")
        if request.kind is RequestKind.PRESS and prefix == "more" and argument.isdecimal():
            await self._look_up_rest(request.chat_id, int(argument))
        name = prefix if command is None else command.name
        if name == "resume":
            await self._look_up_pauses(request.chat_id)
        elif name in _LISTS:
            with contextlib.suppress(StoreError):  # it has more to say than that
                await self._look_up_pauses(request.chat_id)

    async def _waiting(self) -> int:
        try:
            return await self._store.pending()
        except StoreError:
            return self._world.waiting

    async def _look_up_pauses(self, chat_id: int) -> None:
        self._world.on_hold = {chat_id: await self._storms.paused(chat_id)}

    async def _look_up_rest(self, chat_id: int, row_id: int) -> None:
        rows = await self._store.message_rows(chat_id, row_id)
        items = items_of(rows, self._live.wall())
        reader = self._live.desk.reader(chat_id)
        rest = write_more(items, row_id, reader) if items else None
        self._world.grouped = {(chat_id, row_id): rest}


def new_claim_code(live: Live) -> dict[str, str]:
    """A one-time code for the first admin, where there is none; the fact that keeps it."""
    desk = live.desk
    if desk.admins or not desk.telegram:
        return {}
    desk.claim_code = desk.claim_code or secrets.token_hex(4)
    return {CLAIM_CODE: desk.claim_code}
