"""The live clock: monotonic, deaf to single crazy rows, and able to follow the whole venue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.clock import AHEAD, VenueClock
from tests.market.rows import E0, HOUR, tick

DAY = 24 * HOUR


def started(symbols: str = "AB") -> VenueClock:
    clock = VenueClock(E0, 0.0)
    clock.admit([tick(symbol, E0) for symbol in symbols], 0.0)
    return clock


def test_before_the_first_row_the_clock_is_the_local_time_then_the_rest_time() -> None:
    clock = VenueClock(E0 - DAY, 10.0)
    assert clock.now(11.5) == E0 - DAY + 1500
    clock.guess(E0, 12.0)
    assert clock.now(12.5) == E0 + 500
    clock.guess(E0 - 5000, 13.0)  # a better guess may go back: nothing was decided yet
    assert clock.now(13.0) == E0 - 5000
    assert not clock.started


def test_a_guess_after_the_first_row_changes_nothing() -> None:
    clock = started()
    clock.guess(E0 + DAY, 1.0)
    assert clock.now(1.0) == E0 + 1000
    assert clock.started


@pytest.mark.parametrize("start", [E0, E0 + 1, E0 + DAY, E0 + 1000 * DAY])
def test_the_first_row_sets_the_clock_also_backwards(start: int) -> None:
    clock = VenueClock(start, 0.0)
    admitted = clock.admit([tick("A", E0 - 7), tick("B", E0)], 0.0)
    assert [one.symbol for one in admitted.ticks] == ["A", "B"]
    assert clock.now(2.0) == E0 + 2000


def test_the_clock_is_the_greatest_event_time_plus_the_time_since_and_never_goes_back() -> None:
    clock = started()
    assert clock.now(1.2) == E0 + 1200
    clock.admit([tick("A", E0 + 1000)], 1.3)  # 300 ms late
    assert clock.now(1.3) == E0 + 1300  # it stands until the row's time has caught up
    assert clock.now(1.5) == E0 + 1300
    assert clock.now(2.3) == E0 + 2000
    clock.admit([tick("A", E0 + 500)], 2.3)
    assert clock.now(2.3) == E0 + 2000
    clock.admit([tick("A", E0 + 30_000)], 2.3)
    assert clock.now(2.3) == E0 + 30_000


def test_an_old_row_is_admitted_and_does_not_move_the_clock() -> None:
    clock = started()
    admitted = clock.admit([tick("A", E0 - DAY)], 1.0)
    assert len(admitted.ticks) == 1
    assert clock.now(1.0) == E0 + 1000


@pytest.mark.parametrize(("ahead", "admitted"), [(AHEAD, True), (AHEAD + 1, False)])
def test_a_row_is_bad_when_it_is_more_than_a_minute_ahead(ahead: int, admitted: bool) -> None:
    clock = started()
    result = clock.admit([tick("A", E0 + ahead)], 0.0)
    assert bool(result.ticks) is admitted
    assert result.rejected == (not admitted)


def test_rows_of_one_batch_cannot_lift_each_other_over_the_minute() -> None:
    clock = started("ABC")
    result = clock.admit([tick("A", E0 + 50_000), tick("B", E0 + 100_000)], 0.0)
    assert [one.symbol for one in result.ticks] == ["A"]
    assert result.rejected == 1


def test_a_single_crazy_symbol_among_good_ones_never_moves_the_clock() -> None:
    clock = started("ABC")
    for second in range(1, 120):
        now = E0 + 1000 * second
        rows = [tick("A", now), tick("CRAZY", now + DAY), tick("B", now)]
        result = clock.admit(rows, float(second))
        assert [one.symbol for one in result.ticks] == ["A", "B"]
        assert (result.rejected, result.followed) == (1, 0)
        assert clock.now(float(second)) == now


def test_a_crazy_minority_that_agrees_never_moves_the_clock() -> None:
    clock = started("ABC")
    for second in range(1, 120):
        now = E0 + 1000 * second
        good = [tick(symbol, now) for symbol in "ABC"]
        bad = [tick(symbol, now + DAY) for symbol in "XY"]
        assert clock.admit(bad + good, float(second)).ticks == tuple(good)
    assert clock.now(119.0) == E0 + 119_000


def test_a_symbol_with_ever_new_wild_times_does_not_keep_the_clock_from_following() -> None:
    clock = started("AB")
    followed = []
    for second in range(1, 10):
        now = E0 + DAY + 1000 * second
        wild = [tick("W", E0 + 40 * DAY * n * second) for n in range(1, 20)]
        result = clock.admit([*wild, tick("A", now), tick("B", now)], float(second))
        followed.append(result.followed)
    assert [index for index, by in enumerate(followed) if by] == [5]
    assert clock.now(9.0) == E0 + DAY + 9000


@pytest.mark.parametrize("symbols", ["A", "AB", "ABCDEFGH"])
@pytest.mark.parametrize("jump", [AHEAD + 5000, HOUR, 400 * DAY])
def test_the_clock_follows_a_whole_market_that_jumped_after_five_seconds(
    symbols: str, jump: int
) -> None:
    clock = started(symbols)
    for second in range(1, 6):
        rows = [tick(symbol, E0 + jump + 1000 * second) for symbol in symbols]
        result = clock.admit(rows, float(second))
        assert (result.ticks, result.rejected) == ((), len(symbols))
        assert clock.now(float(second)) == E0 + 1000 * second
    rows = [tick(symbol, E0 + jump + 6000) for symbol in symbols]
    result = clock.admit(rows, 6.0)
    assert result.ticks == tuple(rows)
    assert result.rejected == 0
    assert result.followed == jump
    assert clock.now(6.0) == E0 + jump + 6000


@pytest.mark.parametrize("symbols", ["A", "AB"])
def test_a_guess_that_is_behind_the_stream_is_followed_after_five_seconds(symbols: str) -> None:
    clock = VenueClock(E0 - DAY, 0.0)
    for second in range(5):
        assert not clock.admit([tick(s, E0 + 1000 * second) for s in symbols], float(second)).ticks
    assert clock.admit([tick(s, E0 + 5000) for s in symbols], 5.0).ticks
    assert clock.now(5.0) == E0 + 5000
    assert clock.started


def test_an_old_row_as_the_very_first_costs_five_seconds_and_no_more() -> None:
    clock = VenueClock(E0, 0.0)
    clock.admit([tick("DEAD", E0 - 300 * DAY)], 0.0)
    for second in range(1, 7):
        rows = [tick(s, E0 + 1000 * second) for s in "AB"]
        result = clock.admit(rows, float(second))
    assert result.ticks == tuple(rows)
    assert clock.now(6.0) == E0 + 6000


def test_one_of_two_symbols_is_not_enough_until_the_other_was_silent_for_a_minute() -> None:
    clock = started("AB")
    moments = [
        second
        for second in range(1, 80)
        if clock.admit([tick("A", E0 + DAY + 1000 * second)], float(second)).ticks
    ]
    assert moments[0] == 61


def test_rows_that_agree_only_for_a_moment_are_forgotten() -> None:
    clock = started("AB")
    clock.admit([tick(s, E0 + DAY) for s in "AB"], 1.0)
    clock.admit([tick(s, E0 + 20_000) for s in "AB"], 20.0)
    result = clock.admit([tick(s, E0 + DAY + 20_000) for s in "AB"], 21.0)
    assert result.ticks == ()
    assert clock.now(21.0) == E0 + 21_000


batches = st.lists(
    st.tuples(
        st.floats(0, 20),
        st.lists(
            st.tuples(
                st.sampled_from("ABC"), st.integers(-5000, 5000) | st.integers(-(10**9), 10**12)
            )
        ),
    )
)


@given(batches, st.integers(1, 2 * E0))
def test_the_clock_never_goes_back_and_every_row_is_admitted_or_rejected(
    steps: list[tuple[float, list[tuple[str, int]]]], start: int
) -> None:
    clock, now, last = VenueClock(start, 0.0), 0.0, 0
    for pause, rows in steps:
        now += pause
        if clock.started:
            assert clock.now(now) >= last
        was_started = clock.started
        before = clock.now(now)
        result = clock.admit([tick(s, max(1, before + shift)) for s, shift in rows], now)
        assert len(result.ticks) + result.rejected == len(rows)
        assert all(one.event_time <= clock.now(now) + AHEAD for one in result.ticks)
        if was_started:
            assert clock.now(now) >= before
        last = clock.now(now)


@given(st.lists(st.integers(0, 400), min_size=1))
def test_with_good_rows_the_clock_stays_within_their_delay(delays: list[int]) -> None:
    clock = VenueClock(E0 - 2000, 0.0)
    for second, delay in enumerate(delays, start=1):
        arrived = second + delay / 1000
        assert clock.admit([tick("A", E0 + 1000 * second)], arrived).rejected == 0
        assert 0 <= clock.now(arrived) - (E0 + 1000 * second) <= 401


@pytest.mark.parametrize("symbols", ["A", "AB", "ABCDEFGH"])
def test_after_an_hour_of_suspended_machine_the_clock_follows_within_five_seconds(
    symbols: str,
) -> None:
    clock = started(symbols)  # the monotonic clock stood still: its next second is an hour later
    decided = []
    for second in range(1, 9):
        rows = [tick(symbol, E0 + HOUR + 1000 * second) for symbol in symbols]
        result = clock.admit(rows, float(second))
        decided.append(len(result.ticks))
        behind = clock.now(float(second)) - rows[0].event_time
        assert behind == (0 if result.ticks else -HOUR)  # never ahead: no fresh row becomes stale
    assert decided == [0] * 5 + [len(symbols)] * 3


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_steps_of_the_local_clock_have_no_effect_once_rows_came(step: int) -> None:
    stepped, plain = started(), started()
    for second in range(1, 60):
        rows = [tick(symbol, E0 + 1000 * second) for symbol in "AB"]
        stepped.guess(E0 + step + 1000 * second, float(second))
        assert stepped.admit(rows, float(second)) == plain.admit(rows, float(second))
        assert stepped.now(second + 0.5) == plain.now(second + 0.5)


@pytest.mark.parametrize("lasts", [1, 4])
def test_a_venue_that_jumps_ahead_for_a_moment_and_back_changes_nothing(lasts: int) -> None:
    clock = started()
    for second in range(1, 60):
        ahead = HOUR if 20 <= second < 20 + lasts else 0
        rows = [tick(symbol, E0 + ahead + 1000 * second) for symbol in "AB"]
        assert len(clock.admit(rows, float(second)).ticks) == (0 if ahead else 2)
        assert clock.now(float(second)) == E0 + 1000 * second


def test_a_venue_that_jumps_ahead_for_longer_is_followed_and_not_followed_back() -> None:
    clock, last = started(), 0
    for second in range(1, 60):
        ahead = HOUR if 20 <= second < 40 else 0
        rows = [tick(symbol, E0 + ahead + 1000 * second) for symbol in "AB"]
        result = clock.admit(rows, float(second))
        assert bool(result.ticks) == (not 20 <= second < 25)
        assert clock.now(float(second)) >= last
        last = clock.now(float(second))
    assert last == E0 + HOUR + 59_000  # rows are old now: in doubt, not wrong


def told(clock: VenueClock, moment: float, offset: int, rest: int | None) -> int:
    """Rows of two symbols at a second since E0, `offset` ms off; REST's time is `rest` ms off."""
    now = E0 + int(moment * 1000)
    if rest is not None:
        clock.tell(now + rest, moment)
    admitted = clock.admit([tick("A", now + offset), tick("B", now + offset)], moment)
    return admitted.followed


@pytest.mark.parametrize(
    ("rest", "follows_within"),
    [
        (None, 6),  # nobody else to ask: 5 s of agreement
        (HOUR, 1),  # REST says the same
        (HOUR + AHEAD, 1),
        (0, None),  # REST says what the clock says: the stream is wrong
        (HOUR - AHEAD - 1, None),
    ],
)
def test_rest_decides_whether_rows_from_the_future_are_followed(
    rest: int | None, follows_within: int | None
) -> None:
    clock = started()
    moves = [told(clock, float(second), HOUR, rest) for second in range(1, 61)]
    first = next((at for at, moved in enumerate(moves, 1) if moved), None)
    assert first == follows_within or (first is not None and first <= (follows_within or 0))
    assert (first is None) == (follows_within is None)


def test_what_rest_said_before_the_claim_began_does_not_count() -> None:
    clock = started()
    clock.tell(E0, 0.0)  # and then the machine slept for an hour, unseen by the monotonic clock
    assert [told(clock, float(at), HOUR, None) > 0 for at in range(1, 8)].count(True) == 1


@pytest.mark.parametrize(
    ("back", "rest", "goes"),
    [
        (HOUR, -HOUR, True),  # REST tells the time of the rows
        (HOUR, 0, False),  # REST tells the clock's: the rows are late
        (HOUR, None, False),  # nobody tells: late rows look the same
        (29_000, -29_000, False),  # rows that are late by so little are no doubt
        (45_000, -45_000, True),
    ],
)
def test_the_clock_goes_back_only_on_the_word_of_rest(
    back: int, rest: int | None, *, goes: bool
) -> None:
    clock = started()
    moves = [told(clock, float(second), -back, rest) for second in range(1, 31)]
    assert any(moved < 0 for moved in moves) == goes
    assert (clock.now(30.0) < E0) == goes
    if goes:
        assert [moved for moved in moves if moved] == [-back]
        assert clock.now(31.0) == E0 + 31_000 - back


def test_one_symbol_in_time_keeps_the_clock_where_it_is() -> None:
    clock = started()
    for second in range(1, 61):
        now = E0 + second * 1000
        clock.tell(now - HOUR, float(second))
        rows = [tick("A", now - HOUR), tick("B", now)]
        assert clock.admit(rows, float(second)).followed == 0
    assert clock.now(60.0) == E0 + 60_000
