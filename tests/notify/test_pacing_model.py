"""The pacing against a server that counts: sliding windows, and every place to count a request."""

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.notify.pacing import Limits, Pacing

CHATS = [1, 2, 3, 4, 5, 6, -1, -2, -3]


@dataclass
class Server:
    """Counts messages per chat, per group and in all, as Telegram is said to."""

    limits: Limits
    counted: dict[int | None, list[float]] = field(default_factory=lambda: defaultdict(list))

    def count(self, chat_id: int, at: float) -> None:
        self.counted[chat_id].append(at)
        self.counted[None].append(at)

    def exceeded(self) -> list[str]:
        """The windows in which too many were counted; those that touch are two windows."""
        limits, found = self.limits, []
        for key, times in self.counted.items():
            windows = [(max(1, math.floor(limits.overall)), max(1.0, 1.0 / limits.overall))]
            if key is not None:
                windows = [(1, limits.per_chat)]
                windows += [(limits.group_count, limits.group_span)] if key < 0 else []
            for count, span in windows:
                times.sort()
                found += [
                    f"{key}: {count + 1} in {late - early:.6f} s of {span} s"
                    for early, late in zip(times, times[count:], strict=False)
                    if late - early < span - 1e-6
                ]
        return found


@dataclass(frozen=True)
class Request:
    """One that is wanted: to whom, how long it takes, and when in that time it is counted."""

    chat_id: int
    takes: float
    counted: float  # a part of it
    retry_after: float = 0.0


def carried_out(
    wanted: Sequence[Request], pacing: Pacing, server: Server, now: float = 1_000.0
) -> list[tuple[float, Request]]:
    """Makes requests as early as the pacing allows, in order within each chat; when they began."""
    waiting: dict[int, list[Request]] = defaultdict(list)
    for request in wanted:
        waiting[request.chat_id].append(request)
    under_way: list[tuple[float, int, Request]] = []
    begun: list[tuple[float, Request]] = []
    while waiting or under_way:
        times = {chat_id: pacing.next_time(chat_id, now) for chat_id in waiting}
        ready = [chat_id for chat_id in waiting if times[chat_id] <= now]
        if ready:
            chat_id = ready[0]
            request = waiting[chat_id].pop(0)
            if not waiting[chat_id]:
                del waiting[chat_id]
            pacing.note_begun(chat_id, now)
            server.count(chat_id, now + request.takes * request.counted)
            heapq.heappush(under_way, (now + request.takes, chat_id, request))
            begun.append((now, request))
            continue
        next_ends = under_way[0][0] if under_way else math.inf
        now = min([next_ends, *times.values()])
        assert now < math.inf, "nothing would ever go again"
        while under_way and under_way[0][0] <= now:
            ended, chat_id, request = heapq.heappop(under_way)
            pacing.note_sent(chat_id, ended)
            if request.retry_after:
                pacing.hold(chat_id, ended + request.retry_after)
    return begun


def requests(longest: float, chats: Sequence[int] = CHATS) -> st.SearchStrategy[list[Request]]:
    return st.lists(
        st.builds(Request, st.sampled_from(chats), st.floats(0.01, longest), st.floats(0, 1)),
        min_size=25,
        max_size=90,
    )


ALL_LIMITS = [
    Limits(group_count=5, group_span=12.0, overall=4.0),
    Limits(group_count=3, group_span=4.0, overall=2.0),
    Limits(per_chat=0.3, group_count=4, group_span=3.0, overall=6.0),
    Limits(overall=0.5),
]


@settings(max_examples=150, deadline=None)
@given(requests(0.9), st.sampled_from(ALL_LIMITS))
def test_no_window_is_exceeded_while_the_server_answers_within_a_second(
    wanted: list[Request], limits: Limits
) -> None:
    server = Server(limits)
    assert len(carried_out(wanted, Pacing(limits), server)) == len(wanted)
    assert server.exceeded() == []


@settings(max_examples=150, deadline=None)
@given(requests(0.9, [1, 2, 3, -1]), requests(12.0, [7, 8, 9]))
def test_nor_by_slow_chats_up_to_half_of_the_limit(
    quick: list[Request], slow: list[Request]
) -> None:
    limits = Limits(group_count=5, group_span=12.0, overall=6.0)
    server = Server(limits)
    mixed = [one for pair in zip(quick, slow, strict=False) for one in pair]
    mixed += quick[len(slow) :] + slow[len(quick) :]
    carried_out(mixed, Pacing(limits), server)
    assert server.exceeded() == []


@settings(max_examples=100, deadline=None)
@given(requests(30.0, range(1, 60)))
def test_nor_by_a_server_that_counts_what_it_takes_however_late_it_answers(
    wanted: list[Request],
) -> None:
    limits = Limits(overall=5.0)
    server = Server(limits)
    at_once = [Request(one.chat_id, one.takes, 0.0) for one in wanted]
    carried_out(at_once, Pacing(limits), server)
    assert server.exceeded() == []


@settings(max_examples=100, deadline=None)
@given(requests(0.9), requests(0.9), st.floats(0, 3), st.floats(0, 1))
def test_nor_over_a_restart_in_the_middle_of_requests(
    before: list[Request], after: list[Request], downtime: float, killed: float
) -> None:
    limits = Limits(group_count=7, group_span=12.0, overall=4.0)
    server = Server(limits)
    earlier = carried_out(before, Pacing(limits), server)
    end = 1_000.0 + killed * (earlier[-1][0] - 1_000.0 if earlier else 0.0)
    begun = [(at, one) for at, one in earlier if at <= end]
    seen = Server(limits)  # what the server had counted by then; what is under way it counts now
    for at, one in begun:
        seen.count(one.chat_id, min(at + one.takes * one.counted, end))
    pacing, start = Pacing(limits), end + downtime
    answered = sorted((at + one.takes, one.chat_id) for at, one in begun)
    for at, chat_id in answered:
        if at <= end:  # it was recorded
            pacing.note_counted(chat_id, at)
    if any(at > end for at, _ in answered):
        pacing.note_crash(start)
    carried_out(after, pacing, seen, start)
    assert seen.exceeded() == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            Request, st.sampled_from(CHATS), st.floats(0.01, 0.5), st.just(0.5),
            st.sampled_from([0.0, 0.0, 0.0, 3.0, 30.0]),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_nothing_begins_inside_a_retry_after(wanted: list[Request]) -> None:
    limits = Limits(overall=6.0)
    begun = carried_out(wanted, Pacing(limits), Server(limits))
    closed: dict[int, float] = {}
    for at, request in begun:
        assert at >= closed.get(request.chat_id, 0.0)
        if request.retry_after:
            closed[request.chat_id] = at + request.takes + request.retry_after


@settings(max_examples=100, deadline=None)
@given(requests(0.5, [1, 2, 3, -1]), st.lists(st.floats(0, 100), max_size=20))
def test_no_other_chat_waits_for_a_chats_retry_after(
    wanted: list[Request], holds: list[float]
) -> None:
    """They begin at the very same moments, whatever holds a chat that is not asked for."""
    limits = Limits(overall=6.0)
    alone = carried_out(wanted, Pacing(limits), Server(limits))
    pacing = Pacing(limits)
    for seconds in holds:
        pacing.hold(99, 1_000.0 + seconds)
    assert carried_out(wanted, pacing, Server(limits)) == alone


@pytest.mark.parametrize("overall", [1.0, 2.0, 5.0, 25.0])
def test_any_number_of_slow_chats_leaves_the_others_half_of_the_limit(overall: float) -> None:
    limits = Limits(overall=overall)
    slow = [Request(chat_id, 10.0, 0.0) for chat_id in range(1, 41)]
    quick = [Request(100 + number, 0.05, 0.0) for number in range(40)]
    begun = carried_out([*slow, *quick], Pacing(limits), Server(limits))
    half = overall - overall // 2
    last = max(at for at, request in begun if request.chat_id >= 100)
    assert last - 1_000.0 <= 2 + 80 / half * 1.5


def test_chats_that_are_never_answered_still_leave_a_time_for_the_next_one() -> None:
    pacing, now = Pacing(Limits(overall=4.0)), 0.0
    for chat_id in range(1, 30):
        now = pacing.next_time(chat_id, now)
        assert now < math.inf
        pacing.note_begun(chat_id, now)
    assert now <= 29
