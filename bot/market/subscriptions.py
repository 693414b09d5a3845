"""What one connection carries, decided without I/O: requests, answers, and who keeps silent.

Sources: the venue's page on live subscribing; measured 2026-10: names that do not exist are
acknowledged like any other and never deliver, and an error may come with or without its id.
"""

from collections.abc import KeysView, Sequence
from dataclasses import dataclass

from bot.market.binance import Answer
from bot.market.plan import NAMES_PER_REQUEST, is_array, subject

SILENT_AFTER = 15.0  # s; the slowest stream speaks every 3 s
ASK_AGAIN_AFTER = 30.0  # s from a refusal
SUBSCRIBE, UNSUBSCRIBE = "SUBSCRIBE", "UNSUBSCRIBE"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the venue, with as many names as it may carry."""

    method: str
    names: tuple[str, ...]


class Subscriptions:
    """The streams of one connection; times are monotonic seconds.

    While streams are exchanged both the old and the new ones are carried, and never more than
    `limit`: an exchange that does not fit needs another connection.
    """

    def __init__(self, names: Sequence[str], limit: int, now: float) -> None:
        """`names` are those in the address."""
        self.giving: set[str] = set()  # those that gave a row
        self.next_id = 1
        self._limit = limit
        self._asked = dict.fromkeys(names, now)  # and since when rows may be expected
        self._refused: dict[str, float] = {}  # and when
        self._waiting: dict[int, Request] = {}  # for an answer, in the order of the requests

    @property
    def names(self) -> KeysView[str]:
        """The streams that were asked for and not left."""
        return self._asked.keys()

    def opened(self, now: float) -> None:
        """The handshake is over: rows of the streams in the address may be expected."""
        self._asked = dict.fromkeys(self._asked, now)

    def fits(self, plan: Sequence[str]) -> bool:
        """Whether this connection can come to carry the plan by requests."""
        both = {*self._asked, *plan}
        if len(both) == len(self._asked):
            return True
        return len(both) <= self._limit and len(set(map(is_array, both))) == 1

    def next_request(self, plan: Sequence[str]) -> Request | None:
        """The next step to a plan that fits; None: it is carried, or nothing can be left yet.

        A stream is left when it is about nothing wanted or when its successor gives rows, and
        only while some wanted stream does: silence must come from the venue, not from us.
        """
        missing = tuple(name for name in plan if name not in self._asked)
        if missing:
            return Request(SUBSCRIBE, missing[:NAMES_PER_REQUEST])
        if self.giving.isdisjoint(plan):
            return None
        wanted = {subject(name): name for name in plan}
        names = set(plan)
        spare = tuple(
            name
            for name in self._asked
            if name not in names and wanted.get(subject(name), name) in {name, *self.giving}
        )
        return Request(UNSUBSCRIBE, spare[:NAMES_PER_REQUEST]) if spare else None

    def sent(self, request: Request, now: float) -> None:
        """A request is on its way, with the id that was the next one."""
        self._waiting[self.next_id] = request
        self.next_id += 1
        if request.method == SUBSCRIBE:
            self._asked.update(dict.fromkeys(request.names, now))
            return
        for name in request.names:
            self._asked.pop(name, None)
            self._refused.pop(name, None)
        self.giving.difference_update(request.names)

    def answered(self, answer: Answer, now: float) -> tuple[str, ...]:
        """The streams that an answer refuses. One without an id answers the oldest request."""
        number = answer.id if answer.id is not None else next(iter(self._waiting), 0)
        request = self._waiting.pop(number, None)
        if request is None or request.method != SUBSCRIBE:
            return ()
        names = tuple(name for name in request.names if name in self._asked)
        if answer.error:
            self._refused.update(dict.fromkeys(names, now))
            return names
        self._asked.update(dict.fromkeys(names, now))
        return ()

    def gave(self, stream: str) -> frozenset[str]:
        """A stream brought a row; returns those that did for the first time.

        A name that was not asked for stands for the stream of the same symbol that was.
        """
        own = stream in self._asked
        names = {stream} if own else {n for n in self._asked if subject(n) == subject(stream)}
        new = frozenset(names - self.giving)
        self.giving |= new
        for name in new:
            self._refused.pop(name, None)
        return new

    def forgive(self, now: float) -> bool:
        """Whether streams that were refused a while ago are to be asked for again."""
        over = [name for name, at in self._refused.items() if now - at >= ASK_AGAIN_AFTER]
        for name in over:
            del self._refused[name], self._asked[name]
        return bool(over)

    def unanswered(self, now: float) -> frozenset[str]:
        """The streams that were refused, or asked for 15 s ago, and never gave a row."""
        return frozenset(
            name
            for name, asked in self._asked.items()
            if name not in self.giving and (name in self._refused or now - asked >= SILENT_AFTER)
        )
