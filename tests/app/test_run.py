"""The whole program as its users meet it: a venue, a Telegram, a process, an environment."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app.program import ADMIN, Place, a_place
from tests.doubles.telegram import Fault

HIGH, LOW = "0.00200000", "0.00010000"
FILE_RULE = '{name: hot, symbols: ETHUSDT, when: "rate > 0.1%"}'
STRANGER = 99

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        made.write_rules(FILE_RULE)
        yield made


def kinds(place: Place, symbol: str, chat_id: int = ADMIN) -> list[str]:
    """Fired and resolved messages about a symbol, in the order in which they arrived."""
    told = [message.text for message in place.alerts(chat_id) if symbol in message.text]
    return ["resolved" if "over after" in text else "fired" for text in told]


async def test_a_file_rule_and_a_watch_each_send_one_fired_and_one_resolved(place: Place) -> None:
    async with place.start() as run:
        place.telegram.say(ADMIN, "/watch BTCUSDT rate>0.0005")
        answer = await place.heard(ADMIN, "rate > 0.05%")
        assert "BTCUSDT" in answer.text
        place.venue.set_row("ETHUSDT", rate=HIGH)
        fired = await place.heard(ADMIN, "Rule hot")
        assert "+0.2000 %" in fired.text
        place.venue.set_row("BTCUSDT", rate=HIGH)
        await place.heard(ADMIN, "Rule #1")
        for symbol in ("ETHUSDT", "BTCUSDT"):
            place.venue.set_row(symbol, rate=LOW)
        await place.telegram.wait_for(
            lambda: kinds(place, "ETHUSDT") == kinds(place, "BTCUSDT") == ["fired", "resolved"],
            timeout=15,
        )
        assert await run.stop() == 0
    assert place.telegram.token not in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_restart_while_firing_repeats_nothing_and_loses_nothing(
    place: Place, how: str
) -> None:
    async with place.start() as run:
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await place.heard(ADMIN, "Rule hot")
        await settled(place)
        await getattr(run, how)()
    async with place.start() as again:
        await again.said("Rows flow")
        await until_status_says(place, "1 firing")
        await again.kill()
    place.venue.set_row("ETHUSDT", rate=LOW)
    async with place.start():
        await place.telegram.wait_for(lambda: len(kinds(place, "ETHUSDT")) > 1, timeout=15)
    assert kinds(place, "ETHUSDT") == ["fired", "resolved"]
    assert place.alerts()[1].reply_to == place.alerts()[0].message_id


async def until_status_says(place: Place, words: str) -> None:
    """Asks again and again: the first answers may come before the first rows."""
    answers: list[str] = []
    while not any(words in text for text in answers):
        before = len(answers)
        place.telegram.say(ADMIN, "/status")
        await place.telegram.wait_for(
            lambda least=before + 1: len(status_answers(place)) >= least,  # type: ignore[misc]
            timeout=15,
        )
        answers = status_answers(place)


def status_answers(place: Place) -> list[str]:
    return [message.text for message in place.telegram.to(ADMIN) if "Feed" in message.text]


async def settled(place: Place) -> None:
    """Waits until the program has written down that its message arrived."""
    await stored(place, "SELECT count(*) FROM outbox WHERE status = 'sent'")


async def stored(place: Place, query: str) -> None:
    """Waits until a query of the program's database finds something."""
    async with asyncio.timeout(15):
        while True:
            with sqlite3.connect(f"file:{place.folder}/bot.db?mode=ro", uri=True) as database:
                if database.execute(query).fetchone()[0]:
                    return
            await asyncio.sleep(0.05)


async def test_a_stranger_hears_nothing_but_the_answer_to_id(place: Place) -> None:
    async with place.start():
        for text in ("/start", "/help", "/watch BTCUSDT rate>0", "hello", "/id"):
            place.telegram.say(STRANGER, text)
        await place.heard(STRANGER, str(STRANGER))
        place.telegram.say(ADMIN, "/list")
        await place.heard(ADMIN, "hot")
    assert len(place.telegram.to(STRANGER)) == 1


async def test_a_bad_edit_keeps_the_old_rules_and_the_next_good_one_applies(place: Place) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        place.write_rules(FILE_RULE, "{name: bad, symbols: BTCUSDT, when: rat > 1%}")
        refused = await place.heard(ADMIN, "not taken")
        assert "rules.yaml:4:" in refused.text
        assert "did you mean rate?" in refused.text
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await place.heard(ADMIN, "Rule hot")
        fresh = place.folder / "rules.new"
        fresh.write_text(place.rules.read_text().replace("rat >", "rate >"), encoding="utf-8")
        fresh.replace(place.rules)
        taken = await place.heard(ADMIN, "taken: +1 −0 ~0")
        assert "1 firing kept" in taken.text
    assert kinds(place, "ETHUSDT") == ["fired"]


async def test_a_file_that_went_bad_while_down_is_replaced_by_the_last_good_copy(
    place: Place,
) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        assert await run.stop() == 0
    place.rules.write_text("rules: [", encoding="utf-8")
    async with place.start():
        await place.heard(ADMIN, "not taken")
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await place.heard(ADMIN, "Rule hot")


async def test_a_removed_watch_ends_and_its_firing_message_says_so(place: Place) -> None:
    async with place.start():
        place.venue.set_row("BTCUSDT", rate=HIGH)
        place.telegram.say(ADMIN, "/watch BTCUSDT rate > 0.1%")
        fired = await place.heard(ADMIN, "Rule #1")
        assert "already true" in fired.text
        place.telegram.say(ADMIN, "/unwatch 1")
        await place.heard(ADMIN, "nothing more comes of this alert")
        assert place.alerts()[0].versions


async def test_what_waits_of_a_rule_that_was_removed_while_nothing_ran_is_not_sent(
    place: Place,
) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        place.telegram.fail_next(Fault.too_many(4), chat_id=ADMIN)
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await stored(place, "SELECT count(*) FROM outbox WHERE status = 'new' AND attempts > 0")
        await run.kill()
    place.write_rules('{name: other, symbols: BTCUSDT, when: "rate > 0.1%"}')
    async with place.start():
        place.venue.set_row("BTCUSDT", rate=HIGH)
        await place.heard(ADMIN, "Rule other")
    assert kinds(place, "ETHUSDT") == []


async def test_a_mute_holds_alerts_back_and_ends_with_what_is_still_on(place: Place) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        place.telegram.say(ADMIN, "/mute 1h")
        await place.telegram.wait_for(lambda: len(place.telegram.to(ADMIN)) > 0)
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await stored(place, "SELECT count(*) FROM alert_states WHERE phase = 'firing'")
        place.telegram.say(ADMIN, "/unmute")
        summary = await place.heard(ADMIN, "Still on")
        assert "hot: ETHUSDT" in summary.text
    assert place.alerts() == []


async def test_the_first_admin_claims_with_the_printed_code(place: Place) -> None:
    async with place.start(ADMINS="") as run:
        await run.said("send /start ")
        code = run.output.split("send /start ")[1].split()[0]
        place.telegram.say(ADMIN, "/status")
        place.telegram.say(ADMIN, f"/start {code}")
        await place.heard(ADMIN, "admin")
        place.telegram.say(ADMIN, "/status")
        await place.heard(ADMIN, "Symbols")
        assert await run.stop() == 0
    async with place.start(ADMINS="") as run:
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await place.heard(ADMIN, "Rule hot")


async def test_what_happens_while_telegram_is_away_is_sent_when_it_is_back(place: Place) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        await place.telegram.go_down()
        place.venue.set_row("ETHUSDT", rate=HIGH)
        await run.said("cannot reach the Telegram server")
        await place.telegram.come_back()
        await place.heard(ADMIN, "Rule hot")
    assert kinds(place, "ETHUSDT") == ["fired"]


async def test_a_silent_feed_is_told_once_and_so_is_its_return(place: Place) -> None:
    async with place.start() as run:
        await run.said("Rows flow")
        place.venue.faults.set("silent")
        await place.heard(ADMIN, "The feed is silent", within=22)
        place.venue.faults.clear("silent")
        await place.heard(ADMIN, "The feed is back", within=32)
    told = [message.text for message in place.telegram.to(ADMIN)]
    assert len([text for text in told if "feed" in text]) == 2


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"TELEGRAM_TOKEN": "1:wrong-token-of-the-tests"}, 3, "refuses the token"),
        ({"ADMINS": "me", "STALE": "soon"}, 2, "ADMINS"),
        ({"RULES_FILE": "missing.yaml"}, 2, "missing.yaml"),
        ({"DATABASE_URL": "sqlite:////nowhere/at/all.db"}, 2, "/nowhere/at"),
    ],
)
async def test_what_cannot_start_says_why_in_words(
    place: Place, environment: dict[str, str], code: int, words: str
) -> None:
    async with place.start(**environment) as run:
        assert await run.ended(15) == code
    assert words in run.output
    assert "Traceback" not in run.output
    assert "wrong-token-of-the-tests" not in run.output


async def test_a_second_program_on_the_same_file_says_so(place: Place) -> None:
    async with place.start() as first:
        await first.said("Rows flow")
        async with place.start() as second:
            assert await second.ended(15) == 2
        assert "bot.db" in second.output


async def test_without_a_token_alerts_are_printed(place: Place) -> None:
    place.venue.set_row("ETHUSDT", rate=HIGH)
    async with place.start(TELEGRAM_TOKEN="") as run:
        await run.said("No TELEGRAM_TOKEN")
        await run.said("Rule hot")
        assert await run.stop() == 0
