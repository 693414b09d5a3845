"""Lag and skew: how late rows come, whatever is done to this machine's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.lag import AGREED_FOR, Lag, told_time
from tests.market.rows import E0, HOUR, tick


class Feed:
    """Rows each second; `skew` is the local clock minus the venue's, both in ms."""

    def __init__(self, *, skew: int = 0, told: bool = False) -> None:
        self.lag = Lag()
        self.now = 1000.0  # monotonic s
        self.venue = E0
        self.skew = skew
        if told:
            self.tell()

    @property
    def wall(self) -> int:
        return self.venue + self.skew

    def tell(self, error: int = 0) -> None:
        self.lag.tell(self.skew + error, self.wall, self.now)

    def passes(self, seconds: float, *, monotonic: bool = True) -> None:
        self.now += seconds if monotonic else 0.0
        self.venue += round(seconds * 1000)

    def rows(self, seconds: int, late: int = 100, ahead: int = 0) -> None:
        """A row each second; `late` and `ahead` in ms."""
        for _ in range(seconds):
            self.passes(1.0)
            self.lag.row(self.venue - late + ahead, self.wall, self.now)


def test_before_anything_nothing_is_known() -> None:
    assert (Lag().lag, Lag().skew) == (None, None)


def test_a_skew_that_was_told_counts_before_any_row() -> None:
    lag = Lag()
    lag.tell(-1500, E0, 1.0)
    assert (lag.lag, lag.skew) == (None, -1.5)


@pytest.mark.parametrize("skew", [0, 7, -HOUR, 400 * 24 * HOUR])
def test_the_lag_is_what_the_told_skew_leaves(skew: int) -> None:
    feed = Feed(skew=skew, told=True)
    feed.rows(20, late=250)
    assert (feed.lag.lag, feed.lag.skew) == (0.25, skew / 1000)
    feed.rows(20, late=4000)
    assert feed.lag.lag == 4.0


@pytest.mark.parametrize("skew", [0, -HOUR, HOUR])
def test_without_a_word_the_quickest_row_counts_as_one_without_a_lag(skew: int) -> None:
    feed = Feed(skew=skew)
    feed.rows(10, late=200)
    assert (feed.lag.lag, feed.lag.skew) == (0.0, (skew + 200) / 1000)
    feed.rows(20, late=5200)
    assert (feed.lag.lag, feed.lag.skew) == (5.0, (skew + 200) / 1000)


def test_one_late_row_is_no_lag() -> None:
    feed = Feed(told=True)
    feed.rows(10, late=100)
    feed.rows(1, late=9000)
    assert feed.lag.lag == 0.1


def test_a_told_skew_that_is_a_little_off_gives_no_negative_lag() -> None:
    feed = Feed()
    feed.tell(error=300)
    feed.rows(10, late=100)
    assert feed.lag.lag == 0.0


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("step", [-HOUR, -500, 500, 3000, HOUR])
def test_a_step_of_the_local_clock_moves_the_skew_and_never_the_lag(
    *, told: bool, step: int
) -> None:
    feed = Feed(told=told)
    feed.rows(20)
    lag, skew = feed.lag.lag, feed.lag.skew
    assert lag is not None
    assert skew is not None
    for direction in (step, -step):
        feed.skew += direction
        for _ in range(15):
            feed.rows(1)
            assert feed.lag.lag == lag
        skew += direction / 1000
        assert feed.lag.skew == pytest.approx(skew)


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_that_rest_sees_first_is_no_lag_either(step: int) -> None:
    feed = Feed(told=True)
    feed.rows(20)
    feed.skew += step
    feed.tell()
    feed.rows(10)
    assert (feed.lag.lag, feed.lag.skew) == (0.1, step / 1000)


@pytest.mark.parametrize("told", [True, False])
def test_an_hour_of_suspended_machine_is_no_lag_and_no_skew(*, told: bool) -> None:
    feed = Feed(told=told)
    feed.rows(20)
    before = feed.lag.lag, feed.lag.skew
    feed.passes(3600.0, monotonic=False)
    feed.rows(1)
    assert (feed.lag.lag, feed.lag.skew) == before
    feed.rows(10)
    assert (feed.lag.lag, feed.lag.skew) == before


def test_an_outage_of_an_hour_is_no_lag() -> None:
    feed = Feed(told=True)
    feed.rows(20)
    feed.passes(3600.0)
    feed.rows(1)
    assert feed.lag.lag == 0.1


@pytest.mark.parametrize("told", [True, False])
def test_a_venue_that_jumps_an_hour_ahead_and_back_leaves_no_lag_behind(*, told: bool) -> None:
    feed = Feed(told=told)
    feed.rows(20)
    before = feed.lag.lag
    feed.rows(30, ahead=HOUR)
    assert feed.lag.lag == 0.0
    feed.rows(round(AGREED_FOR) + 10)
    assert feed.lag.lag == before


def test_single_rows_from_the_future_or_the_past_are_passed_over() -> None:
    feed = Feed()
    feed.rows(20)
    for ahead in (HOUR, -HOUR, 100 * HOUR) * 10:
        feed.rows(1, ahead=ahead)
        feed.rows(1)
        assert feed.lag.lag == 0.0


def test_a_first_row_that_is_old_is_forgotten() -> None:
    feed = Feed()
    feed.rows(1, ahead=-24 * HOUR)
    feed.rows(20)
    assert (feed.lag.lag, feed.lag.skew) == (0.0, 0.1)


def test_rows_that_queue_up_behind_a_stall_are_late() -> None:
    feed = Feed(told=True)
    feed.rows(20)
    feed.passes(300.0)
    feed.rows(10, late=300_000)
    assert feed.lag.lag == 300.0
    feed.rows(11)
    assert feed.lag.lag == 0.1


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**14), st.integers(0, 10**14))))
def test_no_rows_break_it_and_a_lag_is_never_negative(rows: list[tuple[int, int, int]]) -> None:
    lag, now = Lag(), 0.0
    for passed, event_time, wall in rows:
        now += passed / 1000
        lag.row(event_time, wall, now)
        assert lag.lag is not None
        assert lag.lag >= 0


def test_an_odd_row_at_the_head_of_a_frame_does_not_tell_the_time() -> None:
    rows = [tick("AUSDT", E0 + 10 * HOUR), *(tick(f"B{n}USDT", E0) for n in range(5))]
    assert told_time(rows) == told_time(rows[::-1]) == told_time(rows[1:2]) == E0
