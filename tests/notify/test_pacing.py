import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.notify.pacing import Limits, Pacing


def most_in(times: list[float], span: float) -> int:
    """The largest number of times in any half-open window of the span."""
    return max(sum(start <= time < start + span for time in times) for start in times)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3, -1, -2]), st.floats(0, 2)), max_size=120),
    st.floats(0, 1),
    st.sampled_from([Limits(), Limits(overall=3.0), Limits(overall=0.5), Limits(per_chat=3.0)]),
)
def test_no_window_is_exceeded_wherever_the_server_counts_a_message(
    wanted: list[tuple[int, float]], counted_at: float, limits: Limits
) -> None:
    """Messages are sent as early as allowed; each takes a while and is counted in between."""
    pacing, now = Pacing(limits), 1_000.0
    seen: defaultdict[int | None, list[float]] = defaultdict(list)
    for chat_id, takes in wanted:
        now = pacing.next_time(chat_id, now)
        pacing.note_begun(chat_id, now)
        for key in (chat_id, None):
            seen[key].append(now + takes * counted_at)
        pacing.note_sent(chat_id, now + takes)
        now += takes
    for key, times in seen.items():
        if key is None:
            span = max(1.0, 1.0 / limits.overall)
            assert most_in(times, span - 1e-6) <= max(1, limits.overall)
        else:
            assert most_in(times, limits.per_chat - 1e-6) == 1
            if key < 0:
                assert most_in(times, limits.group_span - 1e-6) <= limits.group_count


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0.01, 0.4)), min_size=1, max_size=80))
def test_requests_under_way_together_keep_the_overall_limit(
    wanted: list[tuple[int, float]],
) -> None:
    pacing, now, limit = Pacing(Limits(overall=5.0)), 0.0, 5
    under_way: list[tuple[float, int]] = []
    begun: list[float] = []
    for chat_id, takes in wanted:
        while (at := pacing.next_time(chat_id, now)) > now:
            ends = min(under_way)[0] if under_way else math.inf
            now = min(at, ends)
            for ended in sorted(one for one in under_way if one[0] <= now):
                pacing.note_sent(ended[1], ended[0])
                under_way.remove(ended)
        pacing.note_begun(chat_id, now)
        begun.append(now)
        under_way.append((now + takes, chat_id))
        assert len(under_way) <= limit
    assert most_in(begun, 1.0 - 1e-6) <= limit


def test_a_chat_is_free_a_second_after_its_last_message() -> None:
    pacing = Pacing()
    assert pacing.next_time(7, 10.0) == 10.0
    pacing.note_begun(7, 10.0)
    assert pacing.next_time(7, 10.0) == math.inf
    pacing.note_sent(7, 10.2)
    assert pacing.next_time(7, 10.3) == pytest.approx(11.2)
    assert pacing.next_time(8, 10.3) == 10.3


def test_a_group_gets_20_in_any_minute() -> None:
    pacing, now = Pacing(), 0.0
    sent = []
    for _ in range(21):
        now = pacing.next_time(-5, now)
        pacing.note_begun(-5, now)
        pacing.note_sent(-5, now)
        sent.append(now)
    assert sent[19] == pytest.approx(19.0)
    assert sent[20] == pytest.approx(60.0)


def test_retry_after_holds_its_chat_and_no_other() -> None:
    pacing = Pacing()
    pacing.hold(7, 40.0)
    pacing.hold(7, 30.0)
    assert pacing.next_time(7, 10.0) == 40.0
    assert pacing.next_time(8, 10.0) == 10.0
    assert pacing.held(10.0) == {7: 40.0}
    assert pacing.held(40.0) == {}


def test_what_no_limit_looks_at_is_forgotten() -> None:
    pacing = Pacing()
    for chat_id in range(-500, 500):
        pacing.note_begun(chat_id, float(chat_id + 500))
        pacing.note_sent(chat_id, float(chat_id + 500))
    assert len(pacing.held(1e9)) == 0
    sizes = [len(one) for one in (pacing._last, pacing._group, pacing._answered)]
    assert max(sizes) <= 61
