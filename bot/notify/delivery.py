"""One message into the channel, paced, with what the server wants changed about it."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from bot.notify.channel import (
    Channel,
    Doubtful,
    Later,
    Outcome,
    Sent,
    TokenRefused,
    TopicGone,
    Unparsable,
    Written,
)
from bot.notify.message import plain
from bot.notify.outage import Outage
from bot.notify.pacing import Pacing
from bot.notify.port import TOKEN, UNREACHABLE, Faults

_LOG = logging.getLogger(__name__)


class Turn:
    """A chat's place in the pacing. Its first request was noted as begun when it was made."""

    def __init__(self, pacing: Pacing, chat_id: int) -> None:
        self.chat_id = chat_id
        self._pacing = pacing
        self._reserved = True  # for the first request, which is not made yet
        self._asking = False

    async def begin(self) -> None:
        """Waits until a request may go out, whose place is taken then."""
        if self._reserved:
            return
        while (at := self._pacing.next_time(self.chat_id, now := time.monotonic())) > now:  # noqa: ASYNC110 - it moves as other requests end
            await asyncio.sleep(min(at - now, 0.05))
        self._pacing.note_begun(self.chat_id, now)
        self._reserved = True

    def ask(self) -> None:
        """The request goes out."""
        self._reserved, self._asking = False, True

    def hold(self, seconds: float) -> None:
        """Nothing to the chat for so long, as the server asks."""
        self._pacing.hold(self.chat_id, time.monotonic() + seconds)

    def end(self) -> None:
        """The request has ended, or none was made."""
        if self._asking:
            self._pacing.note_sent(self.chat_id, time.monotonic())
        elif self._reserved:
            self._pacing.note_unused(self.chat_id)
        self._reserved = self._asking = False


class Delivery:
    """Sends messages, once each, and judges by what comes of them whether the server is up.

    `returned` is called when it is up again after it was down.
    """

    def __init__(self, channel: Channel, faults: Faults, returned: Callable[[], None]) -> None:
        self.outcomes: Counter[str] = Counter()  # of requests, by the outcome's class name
        self.answered_at: float | None = None  # monotonic s, when the server last judged a request
        self.sent_at: float | None = None  # and when it last took one
        self.outage = Outage()
        self._channel = channel
        self._faults = faults
        self._returned = returned
        self._gone: set[tuple[int, int | None]] = set()  # (chat, topic) that the server denied

    @property
    def is_down(self) -> bool:
        """The server cannot be reached, or refuses the token: other chats will fare alike."""
        return self.outage.is_on

    async def send(
        self, turn: Turn, topic: int | None, written: Written, is_late: Callable[[], bool]
    ) -> tuple[Outcome | None, int | None]:
        """One request, and again where the server names what to change; the topic it went to.

        `is_late` is asked before each; None for the outcome where it was too late then.
        """
        wanted = topic
        if (turn.chat_id, topic) in self._gone:
            topic = None
        outcome = await self._request(turn, topic, written, is_late)
        if isinstance(outcome, TopicGone) and topic is not None:
            text = (
                f"Topic {topic} of chat {turn.chat_id} is gone ({outcome.reason}): its messages go "
                "to the general topic; name another topic in the rules file, or watch there"
            )
            self._faults.raised(f"topic {turn.chat_id} {topic}", text)
            self._gone.add((turn.chat_id, topic))
            topic = None
            outcome = await self._request(turn, topic, written, is_late)
        if isinstance(outcome, TopicGone):  # the general one, too: the next message tries its own
            self._gone.discard((turn.chat_id, wanted))
        if isinstance(outcome, Unparsable):
            _LOG.error("markup was refused and is left out: %s", outcome.reason)
            outcome = await self._request(turn, topic, plain(written), is_late)
        return outcome, topic

    def expect_answers(self) -> None:
        """The server answers again, as somebody else has found out."""
        if self.outage.over():
            self._returned()

    async def _request(
        self, turn: Turn, topic: int | None, written: Written, is_late: Callable[[], bool]
    ) -> Outcome | None:
        await turn.begin()
        if is_late():
            turn.end()
            return None
        turn.ask()
        self.outage.asked(turn.chat_id)
        try:
            outcome = await self._channel.send(turn.chat_id, topic, written)
        except Exception as error:  # noqa: BLE001 - a channel should not raise; nothing may be lost
            _LOG.exception("the channel failed")
            outcome = Doubtful(f"{type(error).__name__}: {error}")
        finally:
            turn.end()
        if isinstance(outcome, Later) and outcome.retry_after is not None:
            turn.hold(outcome.retry_after)
        self.outcomes[type(outcome).__name__] += 1
        self._judge(turn.chat_id, outcome)
        return outcome

    def _judge(self, chat_id: int, outcome: Outcome) -> None:
        """Whether the server itself is to blame."""
        now = time.monotonic()
        if isinstance(outcome, TokenRefused):
            self.outage.is_on = True
            text = f"Telegram refuses the token: {outcome.reason}; check TELEGRAM_TOKEN"
            self._faults.raised(TOKEN, text)
        elif isinstance(outcome, Doubtful) or (
            isinstance(outcome, Later) and outcome.retry_after is None
        ):
            self.outage.failed(chat_id, now)
            if self.outage.is_on:
                self._faults.raised(UNREACHABLE, outcome.reason)
        else:
            self.answered_at = now
            if isinstance(outcome, Sent):
                self.sent_at = now
            self._faults.cleared(UNREACHABLE)
            self._faults.cleared(TOKEN)
            if self.outage.answered(chat_id):
                self._returned()
