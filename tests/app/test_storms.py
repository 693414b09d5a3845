"""Storms through engine, store, notifier and a Telegram: paused and resumed, summed up."""

from dataclasses import replace

import pytest

from bot.alerts.engine import Engine
from bot.market.catalog import Catalog
from bot.notify.markup import MAX_UNITS, units
from bot.rules.rule import Target
from bot.store.port import Store
from bot.store.records import ChatRow, Commit, Held
from tests.alerts.build import START, rule, tick
from tests.app.storm_place import (
    ADMIN,
    FLAPS,
    GROUP,
    HIGH,
    HOT,
    LOW,
    MINUTE,
    OTHER,
    SECOND,
    TOPIC,
    Clock,
    flap,
    pass_time,
    run,
    storm,
    texts,
    told_to,
)
from tests.doubles.telegram import TelegramDouble

# -- pauses ------------------------------------------------------------------------------------


async def test_the_16th_message_of_a_rule_pauses_it_and_resuming_tells_what_was_held(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 15)
        assert len(telegram.to(ADMIN)) == 15
        await storm(made, 5, first=15)
        notice = telegram.to(ADMIN)[-1]
        assert len(telegram.to(ADMIN)) == 16
        assert "Rule hot-longs sent 15 messages here within 3 minutes" in notice.text
        assert "held: 1 so far" in notice.text
        await made.storms.keep_counts()
        await made.settled()
        assert "held: 5 so far" in notice.text
        await storm(made, 7, first=20)
    async with run(store, telegram, clock, HOT) as made:  # a restart changes nothing of it
        await storm(made, 3, first=27)
        assert len(telegram.to(ADMIN)) == 16
        (button,) = notice.data
        answer = await made.press(notice, button)
        assert "hot-longs goes on; 15 held alerts follow together" in answer.toast
        assert len(telegram.to(ADMIN)) == 17
        assert "15 alerts" in texts(telegram)[-1]
        assert "hot-longs goes on; 15 held alerts" in notice.text
        assert notice.buttons == []
        assert (await made.press(notice, button)).resumed == ()
        await storm(made, 14, first=30)
        assert len(telegram.to(ADMIN)) == 31
        assert made.desk.pauses == {}


async def test_messages_that_are_spread_out_or_shared_with_another_rule_pause_nothing(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    shared = [
        told_to(rule("rate > 0.1%", name=name, symbols="ALL"), Target(OTHER)) for name in "ab"
    ]
    async with run(store, telegram, clock, HOT, *shared) as made:
        await storm(made, 20, after=13 * SECOND)
        assert len(telegram.to(ADMIN)) == 20
        assert len(telegram.to(OTHER)) == 20
        await storm(made, 20, first=20)
        assert len(telegram.to(ADMIN)) < 40
        assert len(telegram.to(OTHER)) == 40
        assert {chat_id for chat_id, _ in made.desk.pauses} == {ADMIN}


async def test_what_was_sent_before_a_restart_counts(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 15)
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 1, first=15)
        assert "is paused in this chat" in texts(telegram)[-1]


async def test_the_notice_goes_to_the_topic_in_the_chats_language_and_one_command_lifts_it(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    await store.commit(Commit(chats=(ChatRow(GROUP, "supergroup", language="zh"),)))
    hot = told_to(HOT, Target(GROUP, TOPIC))
    async with run(store, telegram, clock, hot) as made:
        await storm(made, 17)
        notice = telegram.to(GROUP)[-1]
        assert notice.topic == TOPIC
        assert "规则 hot-longs 在 3 分钟内向本聊天发送了 15 条消息" in notice.text
        await made.say("/resume hot-longs", chat=GROUP)
        assert "积压的 2 条提醒" in notice.text
        assert notice.buttons == []
        held = [one for one in telegram.to(GROUP) if "S15USDT" in one.text]
        assert [one.topic for one in held] == [TOPIC]
        assert "S16USDT" in held[0].text


async def test_the_notice_is_edited_once_a_minute_at_most_and_only_where_the_count_changed(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 16)
        notice = telegram.to(ADMIN)[-1]
        for number in range(16, 16 + 150):
            await storm(made, 1, first=number)
            await made.storms.keep_counts()
            await made.settled()
        assert 2 <= len(notice.versions) <= 4
        seen = len(notice.versions)
        for _ in range(10):
            clock.at += 2 * MINUTE
            await made.storms.keep_counts()
            await made.settled()
        assert len(notice.versions) == seen + 1  # what had come since the last edit
        assert "held: 151 so far" in notice.text


@pytest.mark.parametrize("goes", ["removed", "edited"])
async def test_a_rule_that_goes_takes_its_pause_and_what_was_held_along(
    store: Store, telegram: TelegramDouble, clock: Clock, goes: str
) -> None:
    edited = told_to(rule("rate > 0.15%", name="hot-longs", symbols="ALL"), Target(ADMIN))
    rules = [edited] if goes == "edited" else []
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 18)
        notice = telegram.to(ADMIN)[-1]
        (button,) = notice.data
        await made.replace(*rules)
        assert made.desk.pauses == {}
        assert (await store.load()).pauses == ()
        assert await store.held_counts() == {}
        assert ("was changed" if goes == "edited" else "is no more") in notice.text
        assert notice.buttons == []
        answer = await made.press(notice, button)
        assert answer.resumed == ()
        assert answer.toast
        count = len(telegram.to(ADMIN))
        await made.row("S0USDT", HIGH)
        assert len(telegram.to(ADMIN)) == count + (goes == "edited")


@pytest.mark.parametrize("goes", ["removed", "edited"])
async def test_so_does_one_that_goes_while_nothing_runs(
    store: Store, telegram: TelegramDouble, clock: Clock, goes: str
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 18)
    edited = told_to(rule("rate > 0.15%", name="hot-longs", symbols="ALL"), Target(ADMIN))
    async with run(store, telegram, clock, *([edited] if goes == "edited" else [])) as made:
        await made.row("S0USDT", LOW)
        assert made.desk.pauses == {}
        assert (await store.load()).pauses == ()
        assert await store.held_counts() == {}


async def test_a_rule_whose_note_was_edited_stays_paused(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 18)
        await made.replace(replace(HOT, options=replace(HOT.options, note="look")))
        assert list(made.desk.pauses) == [(ADMIN, HOT.id)]
        assert await store.held_counts() == {(ADMIN, HOT.id): 3}


async def test_a_watch_can_be_paused_and_a_group_that_moves_keeps_the_pause(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock) as made:
        await made.say("/watch ALL rate > 0.1%", chat=GROUP)
        await storm(made, 18)
        assert list(made.desk.pauses) == [(GROUP, f"watch:{GROUP}:1")]
        telegram.add_chat(-200)
        await made.live.move_chat(GROUP, -200)
        assert list(made.desk.pauses) == [(-200, "watch:-200:1")]
        await storm(made, 2, first=18)
        assert telegram.to(-200) == []
        await made.storms.keep_counts()  # the notice stayed behind in the old chat
        await made.settled()
        assert telegram.to(-200) == []
        answer = await made.say("/resume #1", chat=-200)
        assert answer.resumed == ((-200, "watch:-200:1"),)
        assert "5 alerts" in texts(telegram, -200)[-1]


async def test_at_a_terminal_nothing_is_paused(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        made.desk.telegram = False
        for _ in range(20):
            made.storms.sent(0, HOT.id, clock())
        assert not made.storms.is_full(0, HOT.id, clock())
        made.desk.telegram = True
        assert made.storms.is_full(0, HOT.id, clock())


async def test_figures_count_what_is_paused_and_held(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 19)
        await made.storms.keep_counts()
        page = made.metrics.exposition().decode()
        assert "fundingbot_rules_paused 1.0" in page
        assert 'fundingbot_alerts_held{reason="pause"} 4.0' in page
        await made.say("/resume")
        await made.storms.keep_counts()
        page = made.metrics.exposition().decode()
        assert "fundingbot_rules_paused 0.0" in page
        assert 'fundingbot_alerts_held{reason="pause"} 0.0' in page


# -- flapping ----------------------------------------------------------------------------------


async def test_a_whole_flapping_hour_is_said_once_and_summed_up_every_15_minutes(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 1)
        for _ in range(59):
            await flap(made, 1)
            await made.storms.sum_up()
            await made.settled()
        await pass_time(made, 16 * MINUTE)
        said = texts(telegram)
        alerts = [text for text in said if "Too often" not in text]
        assert len(alerts) == 13  # six firings and their ends, and the seventh
        assert [("Fired 7 times within an hour" in text) for text in alerts] == [False] * 12 + [
            True
        ]
        sums = [text for text in said if "Too often" in text]
        assert len(sums) == 4
        fired = [int(text.split("came on ")[1].split("×")[0]) for text in sums]
        ended = [int(text.split("was over ")[1].split("×")[0]) for text in sums]
        assert (sum(fired), sum(ended)) == (60 - 7, 60 - 6)
        assert all("BTCUSDT flaps: " in text and "peak +0.2000 %" in text for text in sums)
        assert await store.flapping_rows(clock() + 1) == []


async def test_a_summary_says_what_is_on_and_its_end_is_told_singly_after_the_hour(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 8)
        await made.row("BTCUSDT", HIGH)
        on_since = clock()
        await pass_time(made, 16 * MINUTE)
        assert "on since " in texts(telegram)[-1]
        assert "The next summary follows in 15 min" in texts(telegram)[-1]
        count = len(telegram.to(ADMIN))
        await pass_time(made, 60 * MINUTE)
        assert len(telegram.to(ADMIN)) == count
        await made.row("BTCUSDT", LOW)
        assert "BTCUSDT over after 1h 16m" in texts(telegram)[-1]
        await flap(made, 1)
        assert len(telegram.to(ADMIN)) == count + 3
        assert clock() - on_since > 76 * MINUTE


async def test_the_last_summary_says_that_it_is_told_one_by_one_again(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 6, after=5 * MINUTE)  # an hour
        await made.row("BTCUSDT", HIGH, after=MINUTE)
        await made.row("BTCUSDT", LOW, after=MINUTE)
        await pass_time(made, 16 * MINUTE)
        assert "over now" in texts(telegram)[-1]
        assert "told one by one again" in texts(telegram)[-1]
        assert "The next summary" not in texts(telegram)[-1]


async def test_all_that_flaps_in_a_chat_and_topic_comes_in_one_summary(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    rules = [
        FLAPS,
        told_to(replace(FLAPS, id="file:x", name="x"), Target(GROUP, TOPIC), Target(GROUP)),
    ]
    symbols = [f"S{number}USDT" for number in range(30)]
    async with run(store, telegram, clock, *rules) as made:
        for _ in range(9):
            for rate in (HIGH, LOW):
                clock.at += 30 * SECOND
                at = (clock.at - START) // 1_000
                await made.live.take([tick(at, rate, symbol) for symbol in symbols])
                await made.settled()
        await pass_time(made, 16 * MINUTE)
        for chat_id, topics in ((ADMIN, [None]), (GROUP, [TOPIC, None])):
            sums = [one for one in telegram.to(chat_id) if "Too often" in one.text]
            assert sorted(one.topic or 0 for one in sums) == sorted(one or 0 for one in topics)
            for one in sums:
                assert units(one.text) <= MAX_UNITS
                assert one.text.count("• ") == 20
                assert "and 10 more (" in one.text
                assert "came on 20×, was over 30×" in one.text  # of those ten, none forgotten
                assert all(symbol in one.text for symbol in symbols)


async def test_a_restart_goes_on_folding(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 8)
    count = len(telegram.to(ADMIN))
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 3)
        assert len(telegram.to(ADMIN)) == count
        await pass_time(made, 16 * MINUTE)
        assert "came on 4×, was over 5×" in texts(telegram)[-1]


async def test_a_crossing_that_flaps_is_counted_too(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    crosses = told_to(rule("rate crosses above 0.1%", name="crosses"), Target(ADMIN))
    async with run(store, telegram, clock, crosses) as made:
        await made.row("BTCUSDT", LOW)
        await flap(made, 10)
        assert len(telegram.to(ADMIN)) == 7
        await pass_time(made, 16 * MINUTE)
        assert "crossed 3×, last at " in texts(telegram)[-1]
        assert "on since" not in texts(telegram)[-1]


async def test_a_muted_chat_gets_no_summary_until_it_hears_again(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 8)
        await made.say("/mute 1h")
        count = len(telegram.to(ADMIN))
        await flap(made, 2)
        await pass_time(made, 30 * MINUTE)
        assert len(telegram.to(ADMIN)) == count
        clock.at += 31 * MINUTE
        await made.live.end_mutes()
        await made.storms.sum_up()
        await made.settled()
        assert "came on 1×, was over 2×" in texts(telegram)[-1]


async def test_what_a_rule_that_ended_had_folded_is_not_told(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 9)
        await made.replace()
        assert await store.flapping_rows(clock() + 1) == []
        count = len(telegram.to(ADMIN))
        await pass_time(made, 20 * MINUTE)
        assert len(telegram.to(ADMIN)) == count
        await made.replace(FLAPS)  # what begins anew has fired never
        await flap(made, 3)
        assert len(telegram.to(ADMIN)) == count + 6


async def test_what_flaps_while_its_rule_is_paused_is_held_with_the_rest(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await storm(made, 16)
        await flap(made, 9, after=SECOND)
        assert await store.flapping_rows(clock() + 1) == []
        assert await store.held_counts() == {(ADMIN, FLAPS.id): 19}
        await made.say("/resume")
        assert "19 alerts" in texts(telegram)[-1]


async def test_figures_count_what_is_folded_and_summed_up(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 9)
        folded = len(await store.flapping_rows(clock() + 1))
        page = made.metrics.exposition().decode()
        assert f'fundingbot_alerts_held{{reason="flap"}} {folded}.0' in page
        await pass_time(made, 16 * MINUTE)
        page = made.metrics.exposition().decode()
        assert 'fundingbot_alerts_held{reason="flap"} 0.0' in page
        assert f"fundingbot_alerts_summed_total {folded}.0" in page


async def test_the_engine_decides_the_same_whatever_is_paused_or_folded(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        alone = Engine([FLAPS], Catalog())
        events = 0
        for number in range(40):
            await made.row("BTCUSDT", LOW if number % 2 else HIGH)
            at = (clock.at - START) // 1_000
            events += len(alone.on_frame([tick(at, LOW if number % 2 else HIGH)]))
        rows = await store.flapping_rows(clock() + 1)
        assert len(telegram.to(ADMIN)) + len(rows) == events == 40
        assert all(row.held is Held.FLAP for row in rows)
