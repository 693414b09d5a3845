"""A catalog that lives: what changes is told to those it is about, once, with the change itself."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from bot.alerts.changes import StateChange
from bot.app.catalog_source import CATALOG
from bot.app.faults import CATALOG_DOUBTED
from bot.app.venue_texts import catalog_news
from bot.locale import translator
from bot.market.catalog import Catalog, read_catalog_file
from bot.market.catalog_changes import CatalogChange, News, Terms
from bot.rules.rule import Rule, Target
from bot.store.records import ChatRow, Commit, Committed, OutboxKind, OutboxRow
from tests.alerts.build import START, rule
from tests.app.venue_place import ADMIN, VenuePlace, a_venue_place

LOW, HIGH = "0.0001", "0.002"
GROUP = -100


@pytest.fixture
async def place() -> AsyncIterator[VenuePlace]:
    async with a_venue_place() as made:
        await made.refresh()
        yield made


def to(made: Rule, *targets: Target) -> Rule:
    return Rule(made.id, made.name, made.selection, made.condition, made.options, targets)


async def fire(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%"))
    await place.second({"BTCUSDT": HIGH, "ETHUSDT": LOW})
    assert place.told() == ["fired BTCUSDT"]
    await place.deliver()


@pytest.mark.parametrize("status", ["SETTLING", ""])
async def test_a_contract_that_is_gone_ends_its_alerts_without_a_resolved(
    place: VenuePlace, status: str
) -> None:
    await fire(place)
    if status:
        place.rest.statuses["BTCUSDT"] = status
    else:
        del place.rest.statuses["BTCUSDT"]
    await place.second()
    await place.row("0", next_funding_time=0)
    await place.refresh()
    for _ in range(3):
        await place.second()
        await place.row("0", next_funding_time=0)
    _, notice, edit = place.told()
    assert notice.startswith("⚰️ <b>BTCUSDT</b> is no longer traded")
    assert f"({status or 'not listed'})" in notice
    assert "No longer traded: this alert ended without being over" in edit
    assert "changed or removed" not in edit
    assert [row.kind for row in place.rows()][1:] == [OutboxKind.NOTICE, OutboxKind.EDIT]
    assert list(place.engine.on()) == []
    assert (await place.store.load()).states == ()


async def test_a_contract_that_went_while_nobody_watched_is_told_at_the_start(
    place: VenuePlace,
) -> None:
    """The states of an earlier run wait for a first row that never comes."""
    await fire(place)
    saved = await place.store.load()
    async with a_venue_place() as again:
        again.store = place.store
        again.live._store = again.live.ends._store = place.store
        again.engine.replace_catalog(read_catalog_file(saved.facts[CATALOG].encode()))
        await again.use(rule("rate > 0.1%"))
        again.engine.restore(
            [
                StateChange(s.key.rule_id, s.key.fingerprint, s.key.symbol, s.state)
                for s in saved.states
            ],
            [],
            0,
        )
        again.rest.statuses["BTCUSDT"] = "CLOSE"
        await again.refresh()
        _, notice, edit = again.told()
    assert "no longer traded (CLOSE)" in notice
    assert "No longer traded" in edit
    assert (await place.store.load()).states == ()


async def test_a_t_that_goes_to_zero_asks_for_the_catalog(place: VenuePlace) -> None:
    await fire(place)
    assert not place.venue.catalog._asked
    await place.second()
    await place.row("0", next_funding_time=0)
    assert place.venue.catalog._asked


async def test_what_trades_again_is_told_and_watched_again(place: VenuePlace) -> None:
    await place.use(rule("rate > 0.1%"))
    place.rest.statuses["BTCUSDT"] = "SETTLING"
    await place.agree()
    assert place.stream.plan == ("!markPrice@arr@1s",)
    place.skip(1)
    place.rest.statuses["BTCUSDT"] = "TRADING"
    await place.refresh()
    assert place.told()[1:] == ["🔁 <b>BTCUSDT</b> is traded again."]
    assert place.stream.plan == ("btcusdt@markPrice@1s",)
    await place.second({"BTCUSDT": HIGH})
    assert place.told()[2:] == ["fired BTCUSDT"]


async def test_another_interval_is_told_with_what_the_rate_means_and_rules_follow(
    place: VenuePlace,
) -> None:
    await place.use(rule("rate8h > 0.1%"))
    await place.second({"BTCUSDT": "0.0002"})
    place.rest.terms["BTCUSDT"] = (1, "0.02")
    await place.agree()
    (said,) = place.told()
    assert said.startswith("⏰ <b>BTCUSDT</b> now pays every 1 h (was 8 h). ")
    assert said.endswith("Its rate of +0.0200 % now means +0.1600 % per 8 h.")
    await place.second({"BTCUSDT": "0.0002"})
    assert place.told()[1:] == ["fired BTCUSDT"]


async def test_names_globs_classes_and_all_hear_alike_each_chat_once(place: VenuePlace) -> None:
    selectors = ["BTCUSDT", "BTC*", "perp", "ALL", "ETHUSDT", "ALL,!BTCUSDT"]
    rules = [
        to(rule("rate > 1%", name=f"r{n}", symbols=text), Target(n), Target(ADMIN))
        for n, text in enumerate(selectors, 100)
    ]
    await place.use(*rules)
    place.rest.terms["BTCUSDT"] = (4, "0.02")
    await place.refresh()
    assert place.rows() == []  # one answer alone is not believed
    place.skip(30)
    place.rest.statuses["BTCNEW"] = "TRADING"
    await place.refresh()
    heard = {row.chat_id: place.told(row.chat_id) for row in place.rows()}
    interval, listed = "now pays every 4 h", "<b>BTCNEW</b> is traded now and pays every 8 h."
    assert {chat: len(texts) for chat, texts in heard.items()} == dict.fromkeys(heard, 1)
    assert {chat for chat, (text,) in heard.items() if interval in text} == {
        ADMIN,
        *range(100, 104),
    }
    assert {chat for chat, (text,) in heard.items() if listed in text} == {
        ADMIN,
        101,
        102,
        103,
        105,
    }
    (text,) = heard[ADMIN]
    assert text.index(interval) < text.index(listed)


async def test_a_chat_reads_it_in_its_language_and_without_a_sound(place: VenuePlace) -> None:
    place.desk.chats[GROUP] = ChatRow(GROUP, language="zh")
    await place.use(to(rule("rate > 1%"), Target(GROUP, 42)))
    place.rest.terms["BTCUSDT"] = (4, "0.02")
    await place.agree()
    (row,) = place.rows()
    assert (row.chat_id, row.topic) == (GROUP, 42)
    assert "现在每 4 h 结算一次" in place.told(GROUP)[0]
    assert b'"silent":true' in row.payload


@pytest.mark.parametrize(
    ("chat", "gone", "news"),
    [
        (ChatRow(GROUP), 1, 1),
        (ChatRow(GROUP, muted_until=1 << 60), 1, 0),
        (ChatRow(GROUP, disabled="blocked"), 0, 0),
    ],
)
async def test_a_muted_chat_hears_of_what_is_gone_alone(
    place: VenuePlace, chat: ChatRow, gone: int, news: int
) -> None:
    place.desk.chats[GROUP] = chat
    await place.use(to(rule("rate > 1%", symbols="ALL"), Target(GROUP)))
    place.rest.terms["BTCUSDT"] = (4, "0.02")
    await place.agree()
    assert len(place.told(GROUP)) == news
    place.rest.statuses["ETHUSDT"] = "SETTLING"
    await place.second()
    await place.agree()
    assert len(place.told(GROUP)) == news + gone


async def test_the_change_and_its_message_are_one_commit(place: VenuePlace) -> None:
    await place.use(rule("rate > 1%"))
    before = (await place.store.load()).facts[CATALOG]
    commits: list[Commit] = []
    original = place.store.commit

    async def watched(commit: Commit) -> Committed:
        commits.append(commit)
        return await original(commit)

    place.store.commit = watched  # type: ignore[method-assign]
    place.rest.terms["BTCUSDT"] = (4, "0.02")
    await place.agree()
    (both,) = commits
    assert both.facts[CATALOG] != before
    assert len(both.outbox) == 1
    await place.refresh()  # nothing new: nothing said
    assert len(commits) == 1


async def test_the_first_catalog_ever_tells_nothing() -> None:
    async with a_venue_place() as place:
        await place.use(rule("rate > 1%", symbols="ALL"))
        await place.refresh()
        assert place.engine.catalog.trades("BTCUSDT")
        assert place.told() == []


async def test_a_kept_catalog_tells_at_a_start_what_changed_while_down() -> None:
    async with a_venue_place() as place:
        kept = Catalog().with_funding_info([{"symbol": "BTCUSDT", "fundingIntervalHours": 8}])
        place.engine.replace_catalog(kept)
        await place.use(rule("rate > 1%"))
        place.rest.terms["BTCUSDT"] = (2, "0.02")
        await place.refresh()
        (said,) = place.told()
        assert "now pays every 2 h (was 8 h)." in said


@pytest.mark.parametrize("half", ["exchangeInfo", "fundingInfo"])
async def test_a_catalog_that_lost_most_of_its_symbols_is_doubted_once_and_then_believed(
    half: str,
) -> None:
    async with a_venue_place() as place:
        names = [f"S{n}USDT" for n in range(20)]
        whole = dict.fromkeys(names, "TRADING")
        place.rest.statuses, place.rest.terms = dict(whole), dict.fromkeys(names, (4, "0.02"))
        await place.refresh()
        await place.use(rule("rate > 0.1%", symbols="ALL"))
        await place.second({"S9USDT": HIGH})
        before = place.engine.catalog
        if half == "exchangeInfo":
            place.rest.statuses = dict.fromkeys(names[:9], "TRADING")
        else:
            place.rest.terms = {}
        for _ in range(3):
            await place.refresh()
        assert place.engine.catalog is before
        _fired, doubt = place.told()
        assert "catalog is not believed" in doubt
        assert half in doubt
        assert len(list(place.engine.on())) == 1
        place.rest.statuses, place.rest.terms = dict(whole), dict.fromkeys(names, (4, "0.02"))
        place.seconds += 90
        await place.venue.catalog.refresh()
        assert place.told()[2:] == ["✅ The venue's catalog is complete again. It lasted 1m 30s."]


NAMES = [f"S{n}USDT" for n in range(20)]


@pytest.mark.parametrize("count", [1, 6, 9])
@pytest.mark.parametrize("half", ["exchangeInfo", "fundingInfo"])
async def test_what_lacks_in_one_answer_is_neither_gone_nor_of_another_interval(
    half: str, count: int
) -> None:
    async with a_venue_place() as place:
        place.rest.statuses = dict.fromkeys(NAMES, "TRADING")
        place.rest.terms = dict.fromkeys(NAMES, (4, "0.02"))
        await place.refresh()
        await place.use(rule("rate8h > 0.1%", symbols="ALL"))
        await place.second(dict.fromkeys(NAMES[:2], HIGH))
        fired = place.told()
        kept: dict[str, Any] = getattr(
            place.rest, "statuses" if half == "exchangeInfo" else "terms"
        )
        lost = {name: kept.pop(name) for name in NAMES[:count]}
        for _ in range(2):
            await place.refresh()
            await place.second(dict.fromkeys(NAMES[:2], HIGH))
            assert all(map(place.engine.catalog.trades, NAMES))
            assert len(place.engine.catalog.funding) == 20
        kept.update(lost)
        await place.refresh()
        told = place.told()[len(fired) :]
        if count == 1:
            assert told == []
        else:
            doubt, over = told
            assert f"{half} lacks {count} of 20 rows that it had" in doubt
            assert "complete again" in over
        assert len(list(place.engine.on())) == 2


async def test_what_lacks_stays_while_its_rows_live_and_is_gone_four_minutes_after_them(
    place: VenuePlace,
) -> None:
    await fire(place)
    del place.rest.statuses["BTCUSDT"]
    for _ in range(4):
        place.seconds += 120
        await place.row(HIGH)
        await place.venue.catalog.refresh()
    assert len(place.told()) == 1
    moments = []
    for minute in range(1, 12):
        before = len(place.told())
        place.seconds += 60
        await place.venue.heartbeat()
        await place.venue.catalog.refresh()
        moments += [minute] * (len(place.told()) > before)
    assert moments == [5]  # the rows lack from the first minute on
    assert "no longer traded (not listed)" in place.told()[1]


async def test_an_interval_that_lacks_for_four_minutes_is_the_usual_one(place: VenuePlace) -> None:
    place.rest.terms["BTCUSDT"] = (4, "0.02")
    await place.agree()
    await place.use(rule("rate > 1%"))
    del place.rest.terms["BTCUSDT"]
    for _ in range(2):
        await place.venue.catalog.refresh()
        assert place.told() == []
        place.seconds += 120
    await place.venue.catalog.refresh()
    (said,) = place.told()
    assert "now pays every 8 h (was 4 h)" in said


async def test_an_interval_that_lacks_and_that_t_contradicts_is_given_up_at_once(
    place: VenuePlace,
) -> None:
    place.rest.terms["BTCUSDT"] = (4, "0.02")
    await place.agree()
    await place.use(rule("rate > 1%"))
    place.seconds += 1
    await place.row(LOW, next_funding_time=START + 5 * 3_600_000)
    del place.rest.terms["BTCUSDT"]
    await place.refresh()
    (said,) = place.told()
    assert "now pays every 8 h (was 4 h)" in said


async def test_a_catalog_that_cannot_be_had_at_the_start_is_asked_for_soon_and_told() -> None:
    async with a_venue_place() as place:
        place.rest.down = 500
        moments = []
        await place.refresh()
        for second in range(1, 240):
            before = place.rest.asked["fundingInfo"]
            place.seconds += 1
            await place.venue.catalog.look()
            moments += [second] * (place.rest.asked["fundingInfo"] - before)
            assert len(place.told()) == (second >= 30)
        assert moments == [5, 15, 35, 75, 155]
        (said,) = place.told()
        assert "every contract is taken to pay every 8 h" in said
        place.rest.down = 0
        place.seconds += 120
        await place.venue.catalog.look()
        assert place.engine.catalog.trades("BTCUSDT")
        assert "catalog is there" in place.told()[1]
        before = place.rest.asked["fundingInfo"]
        place.seconds += 600
        await place.venue.catalog.look()
        assert place.rest.asked["fundingInfo"] == before


async def test_a_catalog_that_is_cut_short_at_the_start_is_asked_for_again() -> None:
    async with a_venue_place() as place:
        taking = asyncio.create_task(place.venue.catalog.refresh())
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        assert place.engine.catalog.contracts is None
        place.seconds += 5
        await place.venue.catalog.look()
        assert place.engine.catalog.contracts is not None


async def test_whatever_goes_wrong_with_the_first_catalog_the_program_begins_and_asks_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_venue_place() as place:
        commit = place.live.replace_catalog

        async def broken(
            catalog: Catalog, facts: dict[str, str], notices: Iterable[OutboxRow] = ()
        ) -> None:
            raise RuntimeError("a defect")

        place.live.replace_catalog = broken  # type: ignore[method-assign]
        await place.venue.first_catalog()
        assert "a defect" in caplog.text
        place.live.replace_catalog = commit  # type: ignore[method-assign]
        place.seconds += 5
        await place.venue.catalog.look()
        assert place.engine.catalog.contracts is not None


async def test_rows_ask_for_the_catalog_at_most_twice_a_minute(place: VenuePlace) -> None:
    before = place.rest.asked["exchangeInfo"]
    for _ in range(60):
        place.venue.catalog.ask()
        await place.venue.catalog.look()
        place.seconds += 1
    assert place.rest.asked["exchangeInfo"] - before == 2


async def test_what_is_doubted_for_a_day_is_believed(place: VenuePlace) -> None:
    place.rest.terms = {}
    await place.refresh()
    assert place.engine.catalog.funding
    place.seconds += 24 * 3600
    await place.refresh()
    assert not place.engine.catalog.funding


async def test_a_half_that_is_sound_again_is_doubted_anew_whatever_the_other_half_does(
    place: VenuePlace,
) -> None:
    whole = dict.fromkeys(NAMES, "TRADING")
    place.rest.statuses = dict(whole)
    await place.refresh()
    await place.use(rule("rate > 0.1%", symbols="ALL"))
    for _ in range(3):
        place.rest.statuses = {"S0USDT": "TRADING"}
        await place.refresh()
        assert place.faults.is_active(CATALOG_DOUBTED)
        place.rest.statuses = dict(whole)
        place.rest.refused = {"fundingInfo"}
        place.seconds += 25 * 3600
        await place.refresh()
        assert not place.faults.is_active(CATALOG_DOUBTED)
    assert all(map(place.engine.catalog.trades, NAMES))


async def test_a_half_that_was_doubted_and_cannot_be_had_is_still_doubted(
    place: VenuePlace,
) -> None:
    place.rest.terms = {}
    await place.refresh()
    place.rest.refused = {"fundingInfo"}
    place.seconds += 120
    await place.refresh()
    assert place.faults.is_active(CATALOG_DOUBTED)


@pytest.mark.parametrize("what", ["status", "interval"])
async def test_a_catalog_that_takes_back_what_it_said_is_neither_told_nor_followed(
    place: VenuePlace, what: str
) -> None:
    await place.use(rule("rate8h > 0.1%"))
    place.rest.rows["BTCUSDT"] = {"lastFundingRate": HIGH}
    await place.second({"BTCUSDT": HIGH})
    for number in range(10):
        odd = number % 2 == 0
        if what == "status":
            place.rest.statuses["BTCUSDT"] = "BREAK" if odd else "TRADING"
        else:
            place.rest.terms["BTCUSDT"] = (1 if odd else 8, "0.02")
        await place.refresh()
        assert place.engine.catalog.trades("BTCUSDT")
        assert place.engine.catalog.funding["BTCUSDT"].interval_hours == 8
        await place.pass_time(60, {"BTCUSDT": HIGH})
    assert place.told() == ["fired BTCUSDT"]


@pytest.mark.parametrize("what", ["status", "interval"])
async def test_what_one_answer_said_is_asked_again_after_half_a_minute_and_then_told(
    place: VenuePlace, what: str
) -> None:
    await place.use(rule("rate > 1%"))
    if what == "status":
        place.rest.statuses["BTCUSDT"] = "BREAK"
    else:
        place.rest.terms["BTCUSDT"] = (1, "0.02")
    await place.refresh()
    for _ in range(30):
        assert place.told() == []
        await place.second({"BTCUSDT": LOW})
        await place.venue.catalog.look()
    (said,) = place.told()
    assert ("no longer traded (BREAK)" if what == "status" else "now pays every 1 h") in said


async def test_an_interval_that_t_shows_is_told_at_once(place: VenuePlace) -> None:
    await place.use(rule("rate > 1%"))
    place.seconds += 1
    await place.row(LOW, next_funding_time=START + 3_600_000)
    place.rest.terms["BTCUSDT"] = (1, "0.02")
    await place.refresh()
    (said,) = place.told()
    assert "now pays every 1 h" in said


@pytest.mark.parametrize("down", [500, 451])
async def test_a_catalog_that_cannot_be_had_changes_nothing(place: VenuePlace, down: int) -> None:
    await place.use(rule("rate > 1%"))
    before = place.engine.catalog
    place.rest.down = down
    await place.refresh()
    assert place.engine.catalog is before
    assert place.told() == []


def change(news: News, symbol: str = "A<B", **fields: object) -> CatalogChange:
    values = {"status": "TRADING", "before": Terms(8), "after": Terms(8)}
    return CatalogChange(news, symbol, **(values | fields))  # type: ignore[arg-type]


def test_at_most_twenty_lines_are_written() -> None:
    changes = [change(News.LISTED, f"S{n}") for n in range(45)]
    lines = catalog_news(changes, lambda symbol: None, translator("en")).split("\n")
    assert (len(lines), lines[-1]) == (21, "+25 more")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("news", list(News))
def test_every_piece_of_news_is_written_and_escaped(news: News, language: str) -> None:
    text = catalog_news([change(news)], lambda symbol: None, translator(language))
    assert "<b>A&lt;B</b>" in text
    assert "{" not in text
