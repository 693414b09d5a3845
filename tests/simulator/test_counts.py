from collections import deque

import pytest

from bot.simulator.counts import Counts


@pytest.mark.parametrize(
    ("times", "seconds", "most"),
    [([], 300, 0), ([1, 2, 3], 300, 3), ([1, 2, 3, 302], 300, 3), ([1, 301, 302], 300, 2)],
)
def test_the_busiest_span_is_found(times: list[float], seconds: float, most: int) -> None:
    assert Counts(attempts=deque(times)).busiest(seconds) == most


@pytest.mark.parametrize(
    ("asked", "early"),
    [
        ([], 0),
        ([100.2, 100.9], 0),  # may have been on their way when the refusal was sent
        ([101.1], 1),
        ([129.9], 1),
        ([130.0, 500.0], 0),
        ([105.0, 110.0, 140.0], 2),
    ],
)
def test_what_comes_before_a_retry_after_is_over_is_counted(asked: list[float], early: int) -> None:
    counts = Counts()
    counts.asked("rest", 99.0)
    counts.told_to_wait("rest", 30, 100.0)
    for at in asked:
        counts.asked("rest", at)
        counts.asked("stream", at)  # nobody told this side to wait
    assert counts.limits()["requests_before_retry_after"] == {
        "limit": 0,
        "most": early,
        "kept": not early,
    }


def test_a_second_refusal_prolongs_the_wait_and_grants_no_second_grace() -> None:
    counts = Counts()
    counts.told_to_wait("stream", 10, 100.0)
    counts.told_to_wait("stream", 10, 105.0)
    counts.asked("stream", 105.5)
    counts.asked("stream", 112.0)
    counts.asked("stream", 115.0)
    assert counts.early == 2


@pytest.mark.parametrize(
    ("field", "name", "limit"),
    [
        ("busiest_second", "messages_per_second_and_connection", 10),
        ("most_streams", "streams_per_connection", 1024),
        ("most_weight", "weight_per_minute", 2400),
        ("most_funding", "funding_requests_per_5_minutes", 500),
    ],
)
def test_a_limit_is_kept_up_to_itself(field: str, name: str, limit: int) -> None:
    counts = Counts()
    setattr(counts, field, limit)
    assert counts.limits()[name] == {"limit": limit, "most": limit, "kept": True}
    setattr(counts, field, limit + 1)
    assert counts.limits()[name]["kept"] is False
    assert all(each["kept"] for key, each in counts.limits().items() if key != name)


def test_no_more_than_300_connects_in_5_minutes_keep_the_limit() -> None:
    counts = Counts(attempts=deque(float(n) for n in range(600)))
    assert counts.limits()["connects_per_5_minutes"] == {"limit": 300, "most": 300, "kept": True}
    counts.attempts.append(599.5)
    assert counts.limits()["connects_per_5_minutes"]["kept"] is False
