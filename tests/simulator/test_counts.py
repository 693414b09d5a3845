from collections import deque

import pytest

from bot.simulator.counts import Counts


@pytest.mark.parametrize(
    ("times", "seconds", "most"),
    [([], 300, 0), ([1, 2, 3], 300, 3), ([1, 2, 3, 302], 300, 3), ([1, 301, 302], 300, 2)],
)
def test_the_busiest_span_is_found(times: list[float], seconds: float, most: int) -> None:
    assert Counts(attempts=deque(times)).busiest(seconds) == most
