"""Spacing between connects, and what a refusal means."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.reconnect import (
    AFTER_END,
    LEAST_SPACING,
    PACE,
    WINDOW,
    ConnectPolicy,
    Problem,
    refusal,
    retry_after_seconds,
)
from bot.market.stream_settings import StreamSettings

LOST = Problem("lost")
BARRED = refusal(451)


@dataclass(frozen=True)
class Life:
    """What becomes of one connect: how long it lasts and flows (s), and what ends it."""

    lasts: float
    flows: float = 0.0
    problem: Problem | None = LOST  # None: a handover took its place
    pause: float = 0.0  # s before the next one is wanted, as with a planned handover


def connects(policy: ConnectPolicy, lives: list[Life]) -> tuple[list[float], list[float]]:
    """When each connect starts, and from when on it was wanted (the end of the one before)."""
    now, starts, wanted = 1000.0, list[float](), list[float]()
    for life in lives:
        now += life.pause
        wanted.append(now)
        now = max(now, policy.due())
        starts.append(now)
        policy.connecting(now)
        now += life.lasts
        policy.flowed(life.flows)
        if life.problem is not None:
            policy.ended(starts[-1], now, life.problem)
    return starts, wanted


def most_in(seconds: float, starts: list[float]) -> int:
    return max(sum(first <= one <= first + seconds for one in starts) for first in starts)


def spacings(policy: ConnectPolicy, lives: list[Life]) -> list[float]:
    starts, _ = connects(policy, lives)
    return [later - one for one, later in pairwise(starts)]


def test_the_first_connect_is_due_at_once() -> None:
    assert ConnectPolicy(lambda: 0.5).due() == 0.0


@pytest.mark.parametrize(
    ("jitter", "lasts", "expected"),
    [
        (0.0, 0.01, [1, 1.8, 6.2, 11, 11, 11]),
        (1.0, 0.01, [1, 2, 6, 11, 11, 11]),
        (1.0, 5.0, [5.5, 5.5, 5.5, 8, 11, 11]),  # the spacing counts from the start
        (1.0, 13.0, [13.5, 13.5, 13.5, 13.5, 13.5, 13.5]),
    ],
)
def test_spacing_doubles_up_to_an_even_pace(
    jitter: float, lasts: float, expected: list[float]
) -> None:
    policy = ConnectPolicy(lambda: jitter)
    assert spacings(policy, [Life(lasts)] * 7) == pytest.approx(expected)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_in_the_long_run_attempts_come_every_ten_to_eleven_seconds(jitter: float) -> None:
    gaps = spacings(ConnectPolicy(lambda: jitter), [Life(0.01)] * 400)
    assert max(gaps) <= PACE
    assert WINDOW / 30 <= sum(gaps[100:]) / len(gaps[100:]) <= PACE


@pytest.mark.parametrize("slow", [0.0, 1.5, StreamSettings("ws://x").open_timeout])
def test_an_attempt_that_arrives_late_makes_no_more_than_30_in_five_minutes(slow: float) -> None:
    starts, _ = connects(ConnectPolicy(lambda: 0.0), [Life(0.01)] * 100)
    for late in range(70):  # the venue counts when they arrive; one of them is held up
        arrived = [at + slow * (number == late) for number, at in enumerate(starts)]
        assert most_in(300.0, arrived) <= 30


OUTCOMES = [
    Life(0.01),  # refused, 5xx, accept-then-close
    Life(5.0),  # a handshake that hangs
    Life(8.2),  # accepted and silent
    Life(13.0),  # both
    Life(61.0, flows=60.5),
    Life(70.0, flows=59.0),
    Life(90.0, flows=89.0),
    Life(0.3, flows=0.1),
    Life(4.0, flows=3.9, problem=None),
    Life(0.2, problem=None),
]
lives = st.lists(
    st.sampled_from(OUTCOMES)
    | st.builds(
        Life,
        lasts=st.floats(0, 120),
        flows=st.floats(0, 120),
        problem=st.sampled_from([LOST, None]),
        pause=st.sampled_from([0.0, 0.0, 0.0, 1.0, 7.0, 400.0]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("life", OUTCOMES, ids=str)
@pytest.mark.parametrize("random", [lambda: 0.0, lambda: 0.999], ids=["least", "most"])
def test_one_way_of_failing_for_an_hour_keeps_both_bounds(
    life: Life, random: Callable[[], float]
) -> None:
    check_bounds(random, [life] * 400)


@given(lives, st.integers(1, 40), st.lists(st.floats(0, 0.999), min_size=1, max_size=7))
def test_whatever_happens_both_bounds_are_kept(
    some: list[Life], times: int, jitter: list[float]
) -> None:
    turn = iter(jitter * 10_000)
    check_bounds(lambda: next(turn), some * times)


@given(lives, st.integers(0, 60))
def test_after_anything_an_attempt_is_never_far_away(some: list[Life], failures: int) -> None:
    check_bounds(lambda: 0.999, [*some, *[Life(0.01)] * failures, *some])


def check_bounds(random: Callable[[], float], some: list[Life]) -> None:
    """At most 30 in any 5 minutes; never 11 s without an attempt, but while one is being made."""
    starts, wanted = connects(ConnectPolicy(random), some)
    assert most_in(300.0, starts) <= 30
    for before, now, asked in zip(starts, starts[1:], wanted[1:], strict=False):
        assert now - before >= LEAST_SPACING - 1e-6
        assert now <= max(before + PACE, asked + AFTER_END) + 1e-6


def test_a_matter_of_policy_is_tried_within_every_five_minutes() -> None:
    gaps = spacings(ConnectPolicy(lambda: 0.999), [Life(0.1, problem=BARRED)] * 6)
    assert gaps == pytest.approx([60, 120, 240, 240, 240], rel=0.01)
    soon = spacings(ConnectPolicy(lambda: 0.0), [Life(0.1, problem=BARRED)] * 4)
    assert soon == pytest.approx([48, 96, 192], rel=0.01)


@pytest.mark.parametrize("between", [Life(0.1), Life(90.0, flows=80.0)], ids=["lost", "flowed"])
def test_another_ending_makes_the_venues_policy_young_again(between: Life) -> None:
    barred = Life(0.1, problem=BARRED)
    gaps = spacings(ConnectPolicy(lambda: 0.999), [barred, barred, between, barred, barred])
    assert gaps[3] == pytest.approx(60, rel=0.01)


def test_the_wait_that_the_venue_asked_for_is_kept_whatever_ends_meanwhile() -> None:
    policy = ConnectPolicy(lambda: 0.0)
    policy.connecting(0.0)  # the connection that flows
    policy.connecting(100.0)  # one that was to take over from it
    policy.ended(100.0, 100.1, Problem("429", wait=77.0))
    policy.flowed(110.0)
    policy.ended(0.0, 110.0, LOST)
    assert policy.due() == pytest.approx(177.1)


@pytest.mark.parametrize(("flowed", "spacing"), [(59.9, PACE), (60.0, 1.0)])
def test_only_a_minute_of_rows_makes_the_spacing_short_again(flowed: float, spacing: float) -> None:
    policy = ConnectPolicy(lambda: 1.0)
    connects(policy, [Life(0.01)] * 10)
    policy.connecting(5000.0)
    policy.flowed(flowed)
    policy.ended(5000.0, 5000.1, LOST)
    assert policy.due() == pytest.approx(5000.0 + spacing)


def test_a_long_connection_that_ends_is_replaced_half_a_second_later() -> None:
    policy = ConnectPolicy(lambda: 0.0)
    policy.connecting(0.0)
    policy.flowed(500.0)
    policy.ended(0.0, 501.0, LOST)
    assert policy.due() == 501.5


@pytest.mark.parametrize(
    ("status", "header", "words", "slow", "wait"),
    [
        (451, None, "does not serve the country", True, 0),
        (451, "900", "does not serve the country", True, 0),
        (403, None, "firewall", True, 0),
        (403, "900", "firewall", True, 0),
        (429, "12", "too many requests", False, 12),
        (429, None, "too many requests", False, 30),
        (429, "soon", "too many requests", False, 30),
        (429, "0", "too many requests", False, 0),
        (418, None, "banned", False, 120),
        (418, "9999999999", "banned", False, 3 * 86400),
        (418, "Sun, 22 Nov 2026 15:00:00 GMT", "banned", False, 90),
        (500, None, "fault", False, 0),
        (503, "500", "fault", False, 0),
        (404, None, "BINANCE_STREAM_URL", False, 0),
        (400, "500", "BINANCE_STREAM_URL", False, 0),
        (302, None, "BINANCE_STREAM_URL", False, 0),
        (200, None, "BINANCE_STREAM_URL", False, 0),
    ],
)
def test_a_refusal_says_what_it_means(
    status: int, header: str | None, words: str, slow: bool, wait: float
) -> None:
    problem = refusal(status, header, "Sun, 22 Nov 2026 14:58:30 GMT")
    assert words in problem.words
    assert f"HTTP {status}" in problem.words
    assert (problem.slow, problem.wait) == (slow, wait)


NOW = "Sun, 22 Nov 2026 14:58:30 GMT"


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        ("17", None, 17.0),
        (" 17 ", "nonsense", 17.0),
        ("Sun, 22 Nov 2026 15:00:00 GMT", NOW, 90.0),
        ("Sunday, 22-Nov-26 15:00:00 GMT", NOW, 90.0),
        ("Sun, 22 Nov 2026 14:00:00 GMT", NOW, 0.0),
        ("Sun, 22 Nov 2099 15:00:00 GMT", NOW, 3 * 86400.0),
        ("Sun, 22 Nov 2026 15:00:00 GMT", None, None),
        ("Sun, 22 Nov 2026 15:00:00 GMT", "soon", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_moment_of_the_venues_clock(
    text: str, date: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(text, date) == seconds


@pytest.mark.parametrize("text", [None, "", "-1", "1.5", "nan", "1e9", "soon", "9" * 99, "²"])
def test_a_strange_retry_after_is_none(text: str | None) -> None:
    assert retry_after_seconds(text, NOW) is None


@given(st.text(max_size=70))
def test_no_header_is_strange_enough_to_break_anything(text: str) -> None:
    for wait in (retry_after_seconds(text, NOW), retry_after_seconds(NOW, text)):
        assert wait is None or 0 <= wait <= 3 * 86400
