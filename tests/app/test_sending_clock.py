"""The outbox's clock passes whatever is done to the machine's."""

import pytest

from bot.app.sending_clock import SendingClock, machine_time, steady

START = 1_700_000_000_000


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(0, START, id="a first start begins with the machine's clock"),
        pytest.param(START - 60_000, START, id="so does one after a stop of a minute"),
        pytest.param(START + 3_600_000, START + 3_600_000, id="not one whose clock was set back"),
    ],
)
def test_it_begins_where_the_later_of_both_is(last: int, expected: int) -> None:
    assert SendingClock(last, wall=lambda: START, steady=lambda: 5.0)() == expected


def test_it_passes_with_the_steady_clock_alone() -> None:
    moments = {"wall": START, "steady": 5.0}
    clock = SendingClock(wall=lambda: int(moments["wall"]), steady=lambda: moments["steady"])
    moments |= {"wall": START - 3_600_000, "steady": 7.5}
    assert clock() == START + 2_500
    moments |= {"wall": START + 86_400_000, "steady": 8.0}
    assert clock() == START + 3_000


def test_with_the_real_clocks_it_is_the_present() -> None:
    before = machine_time()
    assert before <= SendingClock()() <= machine_time() + 1
    assert steady() <= steady()
