"""Spacing between connects, and what a refusal means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.reconnect import ConnectPolicy, Problem, refusal, retry_after_seconds

LOST = Problem("lost")


def spacings(policy: ConnectPolicy, problem: Problem, count: int) -> list[float]:
    now, result = 0.0, []
    for _ in range(count):
        policy.connecting(now)
        policy.ended(now, problem)
        result.append(policy.due() - now)
        now = policy.due()
    return result


def test_the_first_connect_is_due_at_once() -> None:
    assert ConnectPolicy(lambda: 0.5).due() == 0.0


@pytest.mark.parametrize(
    ("jitter", "expected"),
    [(0.0, [1, 1.2, 2.4, 4.8, 9.6, 12, 12]), (1.0, [1, 2, 4, 8, 16, 20, 20])],
)
def test_spacing_doubles_up_to_twenty_seconds(jitter: float, expected: list[float]) -> None:
    assert spacings(ConnectPolicy(lambda: jitter), LOST, 7) == pytest.approx(expected)


def test_a_matter_of_policy_is_tried_every_few_minutes() -> None:
    slow = Problem("451", slow=True)
    assert spacings(ConnectPolicy(lambda: 1.0), slow, 5) == [60, 120, 240, 300, 300]


def test_the_wait_that_the_venue_asked_for_is_kept() -> None:
    assert spacings(ConnectPolicy(lambda: 0.0), Problem("429", wait=77.0), 2) == [77, 77]


@pytest.mark.parametrize(("flowed", "spacing"), [(59.9, 20.0), (60.0, 1.0)])
def test_only_a_minute_of_rows_makes_the_spacing_short_again(flowed: float, spacing: float) -> None:
    policy = ConnectPolicy(lambda: 1.0)
    spacings(policy, LOST, 10)
    policy.connecting(1000.0)
    policy.flowed(flowed)
    policy.ended(1100.0, LOST)
    assert policy.due() == 1100.0 + spacing


@given(st.lists(st.tuples(st.floats(0, 90), st.sampled_from([0.0, 61.0]), st.booleans())))
def test_there_are_never_more_than_thirty_connects_in_five_minutes(
    lives: list[tuple[float, float, bool]],
) -> None:
    policy, now, starts = ConnectPolicy(lambda: 0.0), 0.0, []
    for lived, flowed, ended in lives * 10:  # ended False: a handover, the other link lives
        now = max(now, policy.due())
        starts.append(now)
        policy.connecting(now)
        now += lived / 100
        policy.flowed(flowed)
        if ended:
            policy.ended(now, LOST)
    for first, last in zip(starts, starts[30:], strict=False):
        assert last - first > 300
    for one, following in zip(starts, starts[1:], strict=False):  # noqa: RUF007 - as above
        assert following - one >= 1.0 - 1e-9


@pytest.mark.parametrize(
    ("status", "header", "words", "slow", "wait"),
    [
        (451, None, "does not serve the country", True, 0),
        (403, None, "firewall", True, 0),
        (403, "900", "firewall", True, 900),
        (429, "12", "too many requests", False, 12),
        (429, None, "too many requests", False, 30),
        (429, "0", "too many requests", False, 0),
        (418, "9999999999", "banned", False, 3 * 86400),
        (418, "Sun, 22 Nov 2026 15:00:00 GMT", "banned", False, 120),
        (500, None, "fault", False, 0),
        (503, "5", "fault", False, 5),
        (404, None, "BINANCE_STREAM_URL", True, 0),
        (200, None, "BINANCE_STREAM_URL", True, 0),
    ],
)
def test_a_refusal_says_what_it_means(
    status: int, header: str | None, words: str, slow: bool, wait: float
) -> None:
    problem = refusal(status, header)
    assert words in problem.words
    assert f"HTTP {status}" in problem.words
    assert (problem.slow, problem.wait) == (slow, wait)


@pytest.mark.parametrize("text", [None, "", "-1", "1.5", "nan", "1e9", "soon", "9" * 30])
def test_a_strange_retry_after_is_none(text: str | None) -> None:
    assert retry_after_seconds(text) is None
