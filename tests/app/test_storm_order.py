"""What flaps is told in order, says what is on now, and is said to each chat by itself."""

from dataclasses import replace

import pytest

from bot.store.port import Store
from tests.alerts.build import rule
from tests.app.storm_place import (
    ADMIN,
    FLAPS,
    HIGH,
    LOW,
    MINUTE,
    OTHER,
    SECOND,
    Clock,
    flap,
    pass_time,
    run,
    storm,
    texts,
    told_to,
)
from tests.doubles.telegram import TelegramDouble

SAID = "Fired 7 times within an hour"


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_waits_for_its_summary_is_told_before_what_came_after_it(
    store: Store, telegram: TelegramDouble, clock: Clock, *, restarted: bool
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 7)
        await pass_time(made, 48 * MINUTE)
        count = len(telegram.to(ADMIN))
        await made.row("BTCUSDT", HIGH)
    async with run(store, telegram, clock, FLAPS) as made:
        if not restarted:
            await pass_time(made, SECOND)
        await pass_time(made, 8 * MINUTE)  # the hour has become calm
        await made.row("BTCUSDT", LOW)
        await made.row("BTCUSDT", HIGH, after=30 * SECOND)
        assert len(telegram.to(ADMIN)) == count
        await pass_time(made, 10 * MINUTE)
        (summary,) = texts(telegram)[count:]
        assert "came on 2×, was over 1× · on since " in summary
        assert "told one by one again" in summary
        await made.row("BTCUSDT", LOW)
        assert "BTCUSDT over after" in texts(telegram)[-1]


async def test_a_pause_holds_what_was_folded_too_and_the_summary_comes_behind_it(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 8, after=10 * SECOND)
        await pass_time(made, 4 * MINUTE)
        await storm(made, 16)
        await made.row("BTCUSDT", HIGH)
        count = len(telegram.to(ADMIN))
        await pass_time(made, 20 * MINUTE)
        assert len(telegram.to(ADMIN)) == count  # paused: no summary either
        await made.say("/resume")
        assert not any("BTCUSDT" in text for text in texts(telegram)[count:])
        await pass_time(made, MINUTE)
        assert "came on 2×, was over 2× · on since " in texts(telegram)[-1]
        assert await store.flapping_rows(clock() + 1) == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_chat_that_was_muted_when_it_was_said_is_told_so_later(
    store: Store, telegram: TelegramDouble, clock: Clock, *, restarted: bool
) -> None:
    both = replace(FLAPS, targets=(*FLAPS.targets, *told_to(FLAPS, *FLAPS.targets).targets))
    both = told_to(both, *FLAPS.targets, replace(FLAPS.targets[0], chat_id=OTHER))
    async with run(store, telegram, clock, both) as made:
        await made.say("/mute 10m")
        await flap(made, 8)
        clock.at += 3 * MINUTE
        if not restarted:
            await made.live.end_mutes()
            await made.settled()
    async with run(store, telegram, clock, both) as made:
        await made.live.end_mutes()
        await made.settled()
        mine, others = len(telegram.to(ADMIN)), len(telegram.to(OTHER))
        await flap(made, 3)
        (said,) = texts(telegram)[mine:]
        assert SAID in said
        assert len(telegram.to(OTHER)) == others  # told before: all of it is folded there


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_edited_rule_has_fired_never_over_a_restart_too(
    store: Store, telegram: TelegramDouble, clock: Clock, *, restarted: bool
) -> None:
    edited = told_to(rule("rate > 0.15%", name="flaps", symbols="ALL"), *FLAPS.targets)
    async with run(store, telegram, clock, FLAPS) as made:
        await flap(made, 9)
        count = len(telegram.to(ADMIN))
        if not restarted:
            await made.replace(edited)
            count = len(telegram.to(ADMIN))
            await flap(made, 6)
    if restarted:
        async with run(store, telegram, clock, edited) as made:
            count = len(telegram.to(ADMIN))
            await flap(made, 6)
    told = [text for text in texts(telegram)[count:] if "rate > 0.15%" in text or "over" in text]
    assert len(told) == 12
    assert await store.flapping_rows(clock() + 1) == []
