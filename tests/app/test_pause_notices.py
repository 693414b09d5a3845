"""Notices of pauses end true, whenever the pause ends and whenever they arrive."""

import asyncio

import msgspec
import pytest

from bot.chat.answer import Answer
from bot.chat.request import read_update
from bot.notify.channel import Sent, Written
from bot.notify.payload import decode_payload
from bot.rules.rule import Target
from bot.store.port import Store
from bot.store.records import OutboxRow, OutboxStatus
from tests.alerts.build import rule
from tests.app.storm_place import ADMIN, GROUP, HOT, MINUTE, Clock, run, storm, told_to
from tests.chat.world import message
from tests.doubles.telegram import Message, TelegramDouble
from tests.notify.events import event

MOVED = -200


def notices(telegram: TelegramDouble, chat_id: int = ADMIN) -> list[Message]:
    return [one for one in telegram.to(chat_id) if "is paused" in [*one.versions, one.text][0]]


async def test_a_resumed_rule_begins_anew_over_a_restart_too(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 17)
        await made.say("/resume")
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 14, first=50)
        assert made.desk.pauses == {}
        assert len(notices(telegram)) == 1
        await storm(made, 1, first=90)
        assert len(notices(telegram)) == 2


async def test_a_count_that_is_being_written_does_not_undo_a_resume(
    store: Store, telegram: TelegramDouble, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 18)
        (notice,) = notices(telegram)
        clock.at += 2 * MINUTE
        real, resuming = store.row_of, asyncio.Event()

        async def slow(key: str) -> OutboxRow | None:
            row = await real(key)
            if not resuming.is_set():
                resuming.set()
                await asyncio.sleep(0.05)
            return row

        said = list(await made.storms.paused(ADMIN))
        monkeypatch.setattr(store, "row_of", slow)
        counting = asyncio.create_task(made.storms.keep_counts())
        await resuming.wait()
        request = read_update({"update_id": 9, "message": message("/resume", ADMIN, chat=ADMIN)})
        assert request is not None
        edit = Written("goes on", edit_of=said[0].message_id)
        resumed = Answer(resumed=((ADMIN, HOT.id),), edits=(edit,))
        await made.live.apply(request, resumed, None)
        await counting
        await made.settled()
        assert (notice.text, notice.buttons) == ("goes on", [])


async def test_the_button_of_an_earlier_notice_corrects_the_present_one_as_well(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 18)
        button = notices(telegram)[0].data[0]
        await made.say("/resume")
        await storm(made, 18, first=50)
        first, second = notices(telegram)
        answer = await made.press(first, button)
        assert answer.resumed == ((ADMIN, HOT.id),)
        assert "goes on; 4 held alerts" in first.text
        assert "goes on; 4 held alerts" in second.text
        assert second.buttons == []


async def test_an_edited_rule_tells_again_and_its_notice_says_so(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    edited = told_to(rule("rate > 0.15%", name="hot-longs", symbols="ALL"), Target(ADMIN))
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 18)
    async with run(store, telegram, clock, edited) as made:  # edited while nothing ran
        await made.settled()
        (notice,) = notices(telegram)
        assert notice.text.startswith("▶️ hot-longs was changed and begins anew")
        assert notice.buttons == []


@pytest.mark.parametrize("arrives", [False, True])
async def test_a_notice_that_still_waits_at_the_resume_is_not_left_saying_that_it_is_paused(
    store: Store, telegram: TelegramDouble, clock: Clock, *, arrives: bool
) -> None:
    async with run(store, telegram, clock, HOT) as made:
        await storm(made, 1)
        await made.storms.pause(ADMIN, None, event("S0USDT", rule_id=HOT.id))
        (pause,) = made.desk.pauses.values()
        leased = list(await store.lease(clock(), clock() + MINUTE, 9)) if arrives else []
        request = read_update({"update_id": 9, "message": message("/resume", ADMIN, chat=ADMIN)})
        assert request is not None
        await made.live.apply(request, Answer(resumed=((ADMIN, HOT.id),)), None)
        for row in leased:
            assert row.key == pause.notice
            written = decode_payload(row)
            assert isinstance(written, Written)
            sent = await made.api.send(ADMIN, None, written)
            assert isinstance(sent, Sent)
            await store.settle(
                [
                    msgspec.structs.replace(
                        row,
                        status=OutboxStatus.SENT,
                        message_id=sent.message_id,
                        sent_at=clock(),
                    )
                ]
            )
    async with run(store, telegram, clock, HOT) as made:
        await made.live.advance(clock(), everything=True)
        await made.settled()
        assert [one.text for one in notices(telegram)] == ["▶️ hot-longs goes on."] * arrives
        assert not any(one.buttons for one in notices(telegram))


@pytest.mark.parametrize("killed", [False, True])
async def test_an_unwatched_watch_tells_nothing_from_its_commit_on(
    store: Store, telegram: TelegramDouble, clock: Clock, *, killed: bool
) -> None:
    async with run(store, telegram, clock) as made:
        await made.say("/watch ALL rate > 0.1%", chat=GROUP)
        await storm(made, 25)
        count = len(telegram.to(GROUP))
        assert len(notices(telegram, GROUP)) == 1

        async def between(answer: Answer) -> None:
            if killed:
                raise asyncio.CancelledError
            await made.notifier.drain()
            assert await store.pending(GROUP) == 0
            await follow(answer)

        follow, made.live._follow = made.live._follow, between  # type: ignore[method-assign]
        update = {"update_id": 99, "message": message("/unwatch 1", ADMIN, chat=GROUP)}
        request = read_update(update)
        assert request is not None
        answer = Answer(unwatched=((GROUP, 1),))
        if killed:
            with pytest.raises(asyncio.CancelledError):
                await made.live.apply(request, answer, None)
        else:
            await made.live.apply(request, answer, None)
        assert await store.held_counts() == {}
    async with run(store, telegram, clock) as made:
        await made.settled()
        clock.at += 5_000
        await made.live.advance(clock(), everything=True)
        await made.settled()
        assert len(telegram.to(GROUP)) == count
        assert (await store.load()).pauses == ()
        (notice,) = notices(telegram, GROUP)
        assert notice.text.startswith("#1 is no more")
        told = [one for one in telegram.to(GROUP) if "S0USDT" in one.text]
        assert "changed or removed" in told[0].text


async def test_where_both_chats_had_paused_the_rule_the_new_chats_own_notice_is_corrected(
    store: Store, telegram: TelegramDouble, clock: Clock
) -> None:
    telegram.add_chat(MOVED)
    both = told_to(HOT, Target(GROUP), Target(MOVED))
    async with run(store, telegram, clock, both) as made:
        await storm(made, 18)
    async with run(store, telegram, clock, both) as made:
        await made.live.move_chat(GROUP, MOVED)
        saved = (await store.load()).pauses
        assert saved == tuple(made.desk.pauses.values())
        await made.say("/resume", chat=MOVED)
        (notice,) = notices(telegram, MOVED)
        assert "goes on" in notice.text
