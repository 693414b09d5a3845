"""What is written down of the feed, and what is said of it."""

import logging
from collections import Counter

import pytest

from bot.market.binance import Frame
from bot.market.feed import RATE_OVER, FeedRecord, FeedStatus, Progress
from bot.market.lag import Lag
from bot.market.reconnect import Problem
from tests.market.rows import tick

LOST, OTHER = Problem("it broke off"), Problem("HTTP 503")


def frame(rows: int) -> Frame:
    return Frame(tuple(tick(f"S{number}") for number in range(rows)))


def status(record: FeedRecord, now: float = 100.0) -> FeedStatus:
    return record.status(now, conflated=0, repeated=0, streams=(), links=(), lag=Lag())


def test_at_first_there_is_nothing() -> None:
    assert status(FeedRecord()) == FeedStatus()


@pytest.mark.parametrize(
    ("period", "rows", "seconds", "rate"),
    [
        (1, 900, 30, 900.0),
        (3, 900, 30, 300.0),
        (1, 900, 4, 900.0),
        (1, 900, 1, 900.0),
        (0.5, 3, 20, 6.0),
    ],
)
def test_rows_per_second_are_those_of_the_last_whole_seconds(
    period: float, rows: int, seconds: int, rate: float
) -> None:
    record, now = FeedRecord(), 1000.0
    while now < 1000.0 + seconds:
        record.frame(frame(rows), now)
        now += period
    assert status(record, 1000.0 + seconds).rows_per_second == pytest.approx(rate, rel=0.01)


def test_a_silent_feed_has_no_rows_per_second_after_a_while() -> None:
    record = FeedRecord()
    for second in range(20):
        record.frame(frame(9), float(second))
    assert status(record, 19.5).rows_per_second == 9.0
    assert 0 < status(record, 22.0).rows_per_second < 9.0
    assert status(record, 20.0 + RATE_OVER).rows_per_second == 0.0
    assert status(record, 9999.0).rows == 180


def test_a_reconnect_names_why_the_connection_was_lost_and_not_why_attempts_failed() -> None:
    record = FeedRecord()
    record.opened(1.0)
    assert status(record).reconnected_at is None  # the first one replaces nothing
    record.ended(LOST, 10.0, spare=False)
    record.ended(OTHER, 11.0, spare=False)
    shown = status(record)
    assert (shown.problem, shown.problem_at, shown.reconnected_at) == (OTHER.words, 11.0, None)
    record.opened(12.0)
    shown = status(record)
    assert (shown.reconnected_at, shown.reconnect_reason) == (12.0, LOST.words)
    assert shown.reconnects == 1
    record.opened(13.0)
    assert status(record).reconnects == 1


def test_a_second_connection_that_fails_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    record = FeedRecord()
    record.opened(1.0)
    record.ended(OTHER, 10.0, spare=True)
    record.opened(11.0)
    assert status(record).reconnected_at is None
    assert status(record).problem == OTHER.words
    assert [one.getMessage() for one in caplog.records] == [
        "A second connection failed, the first goes on: HTTP 503"
    ]


def test_a_handover_is_counted_apart() -> None:
    record = FeedRecord()
    record.connecting()
    record.connecting()
    record.handed_over(7.0)
    shown = status(record)
    assert (shown.connects, shown.handovers, shown.handed_over_at) == (2, 1, 7.0)
    assert (shown.reconnects, shown.reconnected_at) == (0, None)


def test_an_attempt_ends_the_waiting_for_it() -> None:
    record = FeedRecord()
    record.next_connect = 50.0
    assert status(record).next_connect == 50.0
    record.connecting()
    assert status(record).next_connect is None


def test_silent_streams_are_named_once_until_they_give_rows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = FeedRecord()
    for names in ("a", "ab", "ab"):
        record.silent(frozenset(names))
    assert status(record).unanswered == ("a", "b")
    record.gave(frozenset("a"))
    assert status(record).unanswered == ("b",)
    record.silent(frozenset("ab"))
    record.wanted(("a", "c"))
    assert status(record).unanswered == ("a",)
    assert [one.getMessage() for one in caplog.records] == [
        f"Silent streams: {name} (acknowledged, but no row came)" for name in "aba"
    ]


def test_many_silent_streams_are_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    record = FeedRecord()
    record.silent(frozenset(f"s{number:03}" for number in range(200)), "too many")
    (line,) = caplog.records
    assert line.getMessage().endswith("s009 and 190 more (too many)")
    assert len(status(record).unanswered) == 200


def test_different_oddities_are_logged_once_each_and_not_without_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    record = FeedRecord()
    for number in range(300):
        record.broken(f"odd {number % 150}")
        record.frame(Frame(skipped=Counter(foreign=1)), 0.0)
    assert status(record).skipped == {"broken": 300, "foreign": 300}
    assert len(caplog.records) == 100


@pytest.mark.parametrize(
    ("frames", "news"),
    [
        ("A1B1 A1B1 A1B1", "+--"),  # the venue hangs and repeats itself
        ("A1B1 A2B2 A2B2", "++-"),
        ("A1B1 A9B2 A3B3 A4B4", "++++"),  # one odd row
        ("A1 B1 A1 B2", "++-+"),
        ("A5B5 A1B1 A2B2", "+-+"),  # another time, and it goes on
    ],
)
def test_only_time_that_goes_on_is_a_sign_of_life(frames: str, news: str) -> None:
    progress = Progress()
    for text, sign in zip(frames.split(), news, strict=True):
        ticks = [tick(text[at], int(text[at + 1])) for at in range(0, len(text), 2)]
        assert progress.is_news(ticks) == (sign == "+")
