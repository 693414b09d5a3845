"""Judges how the feed fares, each second, and tells the admins: once when it begins, once after."""

from collections import deque
from dataclasses import dataclass
from functools import partial

from bot.app import venue_texts as texts
from bot.app.faults import FEED, LAG, SKEW, UNANSWERED
from bot.app.live import Live
from bot.market.feed import FeedStatus
from bot.notify.payload import FAULT

SILENT_AFTER = 15.0  # s without a row; the admins are to hear of it within 20 s
# s for which rows must flow before the feed counts as back: a feed that comes and goes every 20 s
# is one fault, and the admins hear of the end within 30 s of the first row.
BACK_AFTER = 22.0
GAP = 8.0  # s without a row: they did not flow
SHAKY, LATELY = 4, 120.0  # so many gaps within so many seconds are no feed either
LARGEST_LAG = 5.0  # s from a row's event time to its coming
LARGEST_SKEW = 5.0  # s between this machine's clock and the venue's
SETTLED = 60.0  # s after a start; before, streams that do not answer are not known
HELD = 10.0  # s for which a lag must last, or be over
NOT_TAKEN = (
    "rows come, but none is news: they repeat those before, or tell another time than the venue's"
)
LONG_WAIT = 25.0  # s to the next connect: the venue refuses, and says why


@dataclass(slots=True)
class Spell:
    """Something bad that counts once it has lasted, and until it has been over for long enough."""

    begins_after: float  # s
    ends_after: float
    on: bool = False
    _since: float | None = None

    def judge(self, now: float, *, bad: bool, good: bool) -> bool:
        """Whether it begins or ends now: then `on` has just changed."""
        turning = good if self.on else bad
        if not turning:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < (self.ends_after if self.on else self.begins_after):
            return False
        self.on, self._since = not self.on, None
        return True


class FeedWatch:
    """`began`: when the program began to wait for rows; times are monotonic seconds."""

    def __init__(self, live: Live, began: float) -> None:
        self._live = live
        self._began = began
        faults = live.faults  # some may be left from an earlier run
        self._silent = Spell(0.0, 0.0, on=faults.is_active(FEED))
        self._late = Spell(HELD, HELD, on=faults.is_active(LAG))
        self._mute = Spell(0.0, HELD, on=faults.is_active(UNANSWERED))
        self._silent_since = began - self._age(FEED)
        self._first_row: float | None = None  # of those that flow after a silence
        self._gaps: deque[float] = deque([float("-inf")] * SHAKY, SHAKY)  # when they were seen
        # Told in this silence; None: by an earlier run, which told the cause of now.
        self._causes: set[str] | None = None if self._silent.on else set()
        self._unanswered: frozenset[str] | None = None if self._mute.on else frozenset()  # told

    def _age(self, kind: str) -> float:
        """For how many s an earlier run's fault is there already."""
        since = self._live.faults.since(kind)
        return 0.0 if since is None else max(self._live.wall() - since, 0) / 1000

    async def look(self, status: FeedStatus, now: float) -> None:
        await self._look_for_silence(status, now)
        await self._look_for_lag(status, now)
        await self._look_for_unanswered(status, now)

    async def judge_clock(self, skew: float) -> None:
        """`skew`: s by which this machine's clock is ahead of the venue's."""
        if abs(skew) > LARGEST_SKEW:
            await self._live.fault(SKEW, partial(texts.clock_off, skew))
        else:
            await self._live.fault_over(SKEW, texts.clock_right)

    async def _look_for_silence(self, status: FeedStatus, now: float) -> None:
        last = self._began if status.last_taken is None else status.last_taken
        silent = now - last
        if silent >= GAP:
            if self._first_row is not None:
                self._gaps.append(now)
            self._first_row = None
        elif self._first_row is None:
            self._first_row = last
        bad = silent >= SILENT_AFTER or (silent >= GAP and now - self._gaps[0] <= LATELY)
        flowed = 0.0 if self._first_row is None else last - self._first_row
        if self._silent.judge(now, bad=bad, good=flowed >= BACK_AFTER):
            if self._silent.on:
                await self._say_silent(status, last, now)
            else:
                await self._say_back(status)
        elif self._silent.on and silent >= GAP:
            await self._say_cause(status, now)

    async def _say_silent(self, status: FeedStatus, last: float, now: float) -> None:
        self._silent_since = last
        problem = status.problem
        if status.last_row is not None and now - status.last_row < GAP:
            problem = NOT_TAKEN
        self._causes = {problem}
        since = self._live.wall() - int((now - last) * 1000)
        text = partial(
            texts.feed_silent,
            texts.Silence(
                seconds=int(now - last),
                since=since,
                problem=problem,
                connected=status.connected_since is not None,
                next_connect=_wait(status, now),
            ),
        )
        await self._live.fault(FEED, text, since=since)

    async def _say_cause(self, status: FeedStatus, now: float) -> None:
        """A refusal that began while the feed was silent already is named too, once."""
        wait = _wait(status, now)
        if wait is None or wait < LONG_WAIT:
            return
        if self._causes is None:
            self._causes = {status.problem}
        if status.problem in self._causes:
            return
        self._causes.add(status.problem)
        wall = self._live.wall()
        text = partial(texts.feed_refused, status.problem, int(wait))
        await self._live.note(self._live.faults.notices(f"{FAULT}feed cause", text, wall))

    async def _say_back(self, status: FeedStatus) -> None:
        since, first = self._silent_since, self._first_row or self._silent_since
        by = "rows"
        if status.handed_over_at is not None and status.handed_over_at > since:
            by = "handover"
        elif since < self._began or (
            status.reconnected_at is not None and status.reconnected_at > since
        ):
            by = "reconnect"
        text = partial(texts.feed_back, int((first - since) * 1000), by)
        await self._live.fault_over(FEED, text)

    async def _look_for_lag(self, status: FeedStatus, now: float) -> None:
        flows = status.last_taken is not None and now - status.last_taken < GAP
        lag = status.lag if flows else None  # without rows it says nothing
        late = lag is not None and lag > LARGEST_LAG
        if self._late.judge(now, bad=late, good=lag is not None and not late):
            if self._late.on and lag is not None:
                await self._live.fault(LAG, partial(texts.rows_late, int(lag)))
            else:
                await self._live.fault_over(LAG, texts.rows_in_time)

    async def _look_for_unanswered(self, status: FeedStatus, now: float) -> None:
        names = frozenset(status.unanswered)
        if self._unanswered is None:
            if names:
                self._unanswered = names
            elif now - self._began < SETTLED:
                return
        told = self._unanswered or frozenset()
        turned = self._mute.judge(now, bad=bool(names), good=not names)
        if turned and not self._mute.on:
            self._unanswered = frozenset()
            await self._live.fault_over(UNANSWERED, texts.streams_answer)
        elif names - told and self._mute.on:
            self._unanswered = told | names
            text = partial(texts.streams_silent, sorted(names - told))
            await self._live.fault(UNANSWERED, text, again=True)


def _wait(status: FeedStatus, now: float) -> float | None:
    return None if status.next_connect is None else max(status.next_connect - now, 0.0)
