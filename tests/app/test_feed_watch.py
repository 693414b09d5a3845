"""What the admins hear of the feed: once when it begins, once when it is over, never flapping."""

import re
from collections.abc import AsyncIterator, Callable

import pytest

from bot.app.feed_watch import Spell
from bot.app.venue_texts import Silence, feed_refused, feed_silent
from bot.locale import translator
from bot.market.reconnect import refusal
from tests.alerts.build import START, rule
from tests.app.venue_place import VenuePlace, a_venue_place


@pytest.fixture
async def place() -> AsyncIterator[VenuePlace]:
    async with a_venue_place() as made:
        made.rest.down = 503  # the stream alone
        await made.use(rule("rate > 0.1%"))
        yield made


async def watch(place: VenuePlace, seconds: int, rows: Callable[[int], bool]) -> list[int]:
    """Seconds at which something is told, rows flowing in the seconds that `rows` names."""
    moments = []
    for second in range(seconds):
        before = len(place.told())
        place.seconds += 1
        if rows(second):
            place.stream.show(last_row=place.seconds, last_taken=place.seconds)
        await place.venue.watch_feed()
        moments += [second] * (len(place.told()) - before)
    return moments


async def test_silence_is_told_within_20_s_and_its_end_within_30_s(place: VenuePlace) -> None:
    begin, end = await watch(place, 200, lambda now: now < 50 or now >= 110)
    assert 49 < begin <= 49 + 20
    assert 110 < end <= 110 + 30


@pytest.mark.parametrize("period", [1, 3, 10, 20])
async def test_a_feed_that_comes_and_goes_is_one_fault(place: VenuePlace, period: int) -> None:
    moments = await watch(place, 600, lambda now: now >= 40 and now // period % 2 == 0)
    assert len(moments) == (1 if period >= 10 else 2)  # shorter ones count as flowing


async def test_a_feed_with_a_row_now_and_then_is_no_feed(place: VenuePlace) -> None:
    rows = {*range(40), *range(40, 640, 11), *range(640, 720)}  # a row, and a reconnect, each 11 s
    begin, end = await watch(place, 720, lambda now: now in rows)
    assert begin < 100
    assert 640 < end < 670


async def test_a_feed_that_never_came_is_told_too(place: VenuePlace) -> None:
    assert await watch(place, 100, lambda now: False) == [14]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"problem": refusal(451).words, "next_connect": 90.0},
         ["no new row for 15s, since 2023-11-14 ", "does not serve the country",
          "comes in 1m 15s"]),
        ({"problem": refusal(403).words, "next_connect": 90.0}, ["firewall refuses"]),
        ({"problem": refusal(418, "300").words, "next_connect": 300.0}, ["waiting 300 s"]),
        ({"problem": "the connection is open, but no row came for 8 s", "connected_since": 10.0},
         ["The last problem: the connection is open", "A connection is open; rows are waited for"]),
        ({}, ["An attempt to connect is under way"]),
    ],
)  # fmt: skip
async def test_the_words_name_the_cause_since_when_and_what_is_done(
    place: VenuePlace, status: dict[str, object], words: list[str]
) -> None:
    place.stream.show(**status)
    await watch(place, 20, lambda now: False)
    (said,) = place.told()
    assert "The feed is silent" in said
    for word in words:
        assert word in said


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "problem",
    [refusal(404).words, refusal(503).words, "closed (1008 by the server: Too much.)", "It broke."],
)
def test_a_reason_ends_its_sentence_once(problem: str, language: str) -> None:
    _ = translator(language)
    silence = Silence(20, START, problem, connected=False, next_connect=None)
    for text in (feed_silent(silence, _), feed_refused(problem, 60, _)):
        assert not re.search(r"[.?!。？！]\s?[.。]", text)


async def test_a_refusal_that_comes_later_is_named_as_well_once(place: VenuePlace) -> None:
    place.stream.show(problem="the connection broke off", next_connect=20.0)
    await watch(place, 30, lambda now: False)
    for attempt in range(3):
        next_connect = place.seconds + 100
        place.stream.show(problem=refusal(451).words, next_connect=next_connect)
        await watch(place, 60 + attempt, lambda now: False)
    _, refused = place.told()
    assert "still silent" in refused
    assert "HTTP 451" in refused


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"reconnected_at": 40.0}, "a new connection brought it back"),
        ({"handed_over_at": 40.0, "reconnected_at": 1.0}, "a second connection took over"),
        ({"handed_over_at": 2.0}, "rows came again on the open connection"),
    ],
)
async def test_the_end_says_how_long_it_was_and_what_ended_it(
    place: VenuePlace, status: dict[str, float], words: str
) -> None:
    await watch(place, 5, lambda now: True)
    await watch(place, 40, lambda now: False)
    place.stream.show(**status)
    await watch(place, 40, lambda now: True)
    said = place.told()[1]
    assert "The feed is back after 41s" in said
    assert words in said


async def test_rest_does_not_hide_that_the_stream_is_silent() -> None:
    async with a_venue_place() as place:
        await place.use(rule("rate > 0.1%"))
        await place.pass_time(60)
        assert place.venue.second.by_rest == {"BTCUSDT"}
        (said,) = place.told()
        assert "The feed is silent" in said


async def test_a_gap_tells_watchers_of_firing_rules_nothing(place: VenuePlace) -> None:
    await place.second({"BTCUSDT": "0.002"})
    await place.pass_time(120)
    assert [text for text in place.told() if "feed" not in text] == ["fired BTCUSDT"]
    await place.second({"BTCUSDT": "0.002"})
    assert len([text for text in place.told() if "feed" not in text]) == 1


async def test_late_rows_are_told_when_they_last_and_when_they_are_over(place: VenuePlace) -> None:
    place.stream.show(lag=7.0)
    assert await watch(place, 8, lambda now: True) == []
    place.stream.show(lag=1.0)
    await watch(place, 1, lambda now: True)
    place.stream.show(lag=7.0)
    assert await watch(place, 30, lambda now: True) == [10]
    place.stream.show(lag=0.2)
    assert await watch(place, 30, lambda now: True) == [10]
    begin, end = place.told()
    assert "Rows come late</b>: 7s" in begin
    assert "in time again" in end


async def test_streams_that_do_not_answer_are_named(place: VenuePlace) -> None:
    place.stream.show(unanswered=("a@markPrice",))
    await watch(place, 5, lambda now: True)
    place.stream.show(unanswered=("a@markPrice", "b@markPrice"))
    await watch(place, 5, lambda now: True)
    place.stream.show(unanswered=())
    await watch(place, 20, lambda now: True)
    first, second, over = place.told()
    assert "<code>a@markPrice</code>" in first
    assert "<code>b@markPrice</code>" in second
    assert "a@" not in second
    assert "Every stream gives rows" in over


@pytest.mark.parametrize(("skew", "word"), [(9.5, "9s ahead"), (-3600.0, "1h behind")])
async def test_a_clock_that_is_off_is_told_once_with_what_to_do(
    place: VenuePlace, skew: float, word: str
) -> None:
    place.rest.down = 0
    place.rest.now -= int(skew * 1000)
    for _ in range(2):
        await place.refresh()
    (said,) = place.told()
    assert word in said
    assert "Set it by NTP" in said
    assert place.stream.lag.skew == pytest.approx(skew, abs=0.01)
    place.rest.now += int(skew * 1000) + 4_000
    await place.refresh()
    assert "right again" in place.told()[1]


@pytest.mark.parametrize(
    ("pattern", "turns"),
    [
        ("BBBBBBBBB", [3]),
        ("BBBGBBBGG", []),
        ("BBBBGGGGG", [3, 6]),
        ("BBBBGGBGG", [3]),
        ("BBBB..GGG", [3, 8]),  # neither: it stays as it is
        ("BB.BBBBBB", [6]),
    ],
)
def test_a_spell_begins_and_ends_when_it_has_lasted(pattern: str, turns: list[int]) -> None:
    spell = Spell(3.0, 2.0)
    found = [
        second
        for second, sign in enumerate(pattern)
        if spell.judge(float(second), bad=sign == "B", good=sign == "G")
    ]
    assert found == turns


async def test_a_feed_that_repeats_itself_is_silent_and_not_late_as_well(place: VenuePlace) -> None:
    await watch(place, 40, lambda now: True)
    for second in range(60):
        place.seconds += 1
        place.stream.show(last_row=place.seconds, lag=float(second))  # rows come, none is news
        await place.venue.watch_feed()
    (said,) = place.told()
    assert "The feed is silent" in said
    assert "none is news" in said
