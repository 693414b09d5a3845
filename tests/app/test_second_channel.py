"""When Telegram is out of reach for too long: what is copied to whom, how often, and until when."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from bot import __version__
from bot.alerts.engine import Engine
from bot.app.copying import NAMES, SECOND, Copying, CopyingSettings
from bot.app.desk import Desk
from bot.app.faults import Faults
from bot.app.live import Live
from bot.app.parts import Parts
from bot.app.sending_clock import SENDING_AT
from bot.app.start import restore_desk
from bot.app.texts import plain_fault
from bot.market.catalog import Catalog
from bot.notify.channel import Written
from bot.notify.payload import notice_row, outbox_row_for
from bot.notify.port import UNREACHABLE
from bot.notify.second_entries import read_entries
from bot.ops.metrics import build_metrics
from bot.rules.rule import Target
from bot.rules.rules_file import RulesFile
from bot.store.memory import MemoryStore
from bot.store.records import Commit, Copied, OutboxRow
from tests.app.program import ADMIN, Place, a_place
from tests.doubles.loopback_server import Reply
from tests.doubles.receiver import Receiver
from tests.notify.events import event

OTHER_ADMIN, DESK, NOW = 8, -5, 1_795_363_200_000
S, MINUTE = 1_000, 60_000
AFTER = 5 * MINUTE


class Services:
    """Stands for Apprise: remembers what each service took, and refuses when told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, str]] = []
        self.refuses: set[int] = set()
        self.hangs: set[int] = set()

    async def send(self, position: int, text: str) -> str:
        await asyncio.sleep(0)
        if position in self.hangs:
            await asyncio.Event().wait()
        if position in self.refuses:
            return "it is broken"
        self.taken.append((position, text))
        return ""

    def of(self, position: int) -> list[str]:
        return [text for at, text in self.taken if at == position]


class Around:
    """A Copying with everything around it, and the time in hand."""

    def __init__(self, urls: str, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.desk = Desk([ADMIN, OTHER_ADMIN])
        self.desk.chat_names = {"desk": Target(DESK), "corner": Target(DESK, 42)}
        self.faults = Faults(self.desk.admin_readers)
        self.time = NOW
        self.age: float | None = None  # s since Telegram took or gave something
        self.services = Services()
        engine = Engine(self.desk.book.rules, Catalog())
        parts = Parts(engine, self.store, self.desk, self.faults, build_metrics(__version__))
        self.live = Live(
            parts,
            now=lambda: self.time,
            wall=lambda: self.time,
            wake=lambda: None,
            say_unrecorded=lambda _: None,
        )
        settings = CopyingSettings(read_entries(urls), AFTER)
        self.copying = Copying(self.store, self.live, self.services, settings, lambda: self.age)

    async def start(self) -> "Around":
        if not hasattr(self.store, "_opened"):
            await self.store.open()
        self.copying.restore((await self.store.load()).facts)
        return self

    async def add(self, *rows: OutboxRow) -> None:
        await self.store.commit(Commit(outbox=rows))

    def lose(self, since: float | None = None) -> None:
        """Telegram is out of reach, since so many seconds."""
        self.age = since
        self.faults.begin(UNREACHABLE, lambda _: "out of reach", self.time)

    def reach(self) -> None:
        self.age = 0.0
        self.faults.forget(UNREACHABLE)

    async def look(self, passed: int = 0) -> None:
        """A look after so many ms, and the end of all that it starts."""
        self.time += passed
        if self.age is not None:
            self.age += passed / S
        for service in self.copying._services:
            service.next_at = 0.0
        await self.copying.look()
        works = [one.work for one in self.copying._services if one.work is not None]
        await asyncio.wait(works, timeout=0.05) if works else None

    async def copied(self) -> list[Copied]:
        return [row.copied for row in sorted(self.store._outbox.rows.values(), key=_id)]


def _id(row: OutboxRow) -> int:
    return row.id


def alert(at: int, symbol: str = "BTCUSDT", chat_id: int = DESK, topic: int | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return outbox_row_for(event(symbol), Target(chat_id, topic), at)


def faults(words: str, at: int) -> list[OutboxRow]:
    """A fault as it is told to each admin."""
    text = Written(plain_fault(words, str))
    return [
        notice_row(f"fault:{words}:{at}", Target(one), text, at) for one in (ADMIN, OTHER_ADMIN)
    ]


async def test_nothing_is_copied_before_the_time_and_everything_once_after_it() -> None:
    around = await Around("desk=json://a").start()
    await around.add(alert(NOW, "AUSDT"), alert(NOW, "BUSDT"))
    around.lose(since=60)
    await around.look()
    await around.look(AFTER - 61 * S)
    assert around.services.taken == []
    for _ in range(3):
        await around.look(S)
    (text,) = around.services.of(0)
    assert "AUSDT" in text
    assert "BUSDT" in text
    assert text.startswith("Telegram cannot be reached since ")
    assert await around.copied() == [Copied.DONE, Copied.DONE]
    assert await around.store.pending() == 2  # they still go to Telegram
    await around.add(alert(around.time, "CUSDT"))
    await around.look(S)
    assert ["CUSDT" in text for text in around.services.of(0)] == [False, True]


async def test_telegram_within_reach_is_left_alone() -> None:
    around = await Around("json://a desk=json://b").start()
    await around.add(alert(NOW), *faults("x", NOW))
    await around.look(10 * AFTER)
    around.reach()
    await around.look(10 * AFTER)
    assert around.services.taken == []
    assert await around.copied() == [Copied.NO] * 3


async def test_the_admins_hear_a_fault_once_and_chats_their_alerts() -> None:
    around = await Around("json://a desk=json://b corner=json://c admins=json://d").start()
    await around.add(*faults("the feed is silent", NOW), alert(NOW), alert(NOW, "EUSDT", DESK, 42))
    around.lose()
    await around.look(AFTER)
    for admins in (0, 3):
        (text,) = around.services.of(admins)
        assert text.count("the feed is silent") == 1
        assert "USDT" not in text
    assert [("BTCUSDT" in text, "EUSDT" in text) for text in around.services.of(1)] == [
        (True, True)
    ]
    assert [("BTCUSDT" in text, "EUSDT" in text) for text in around.services.of(2)] == [
        (False, True)
    ]
    assert await around.copied() == [Copied.DONE] * 4


async def test_a_chat_is_also_named_by_its_id() -> None:
    around = await Around(f"{DESK}=json://a 7=json://b").start()
    await around.add(alert(NOW), alert(NOW, "EUSDT", ADMIN))
    around.lose()
    await around.look(AFTER)
    assert [("BTC" in text, "EUSDT" in text) for _, text in sorted(around.services.taken)] == [
        (True, False), (False, True),
    ]  # fmt: skip


async def test_what_nobody_wants_there_is_not_looked_at_for_ever() -> None:
    around = await Around("json://a").start()
    await around.add(alert(NOW, "AUSDT", ADMIN), *faults("x", NOW))
    around.lose()
    await around.look(AFTER)
    await around.look(S)
    assert await around.copied() == [Copied.DONE] * 3
    assert len(around.services.taken) == 1


async def test_what_is_too_old_is_not_copied() -> None:
    around = await Around("desk=json://a").start()
    await around.add(alert(NOW - 61 * MINUTE, "OLDUSDT"), alert(NOW, "NEWUSDT"))
    around.lose()
    await around.look(AFTER)
    (text,) = around.services.of(0)
    assert "NEWUSDT" in text
    assert "OLDUSDT" not in text


async def test_much_that_is_too_old_keeps_nothing_new_from_being_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.app.copying.MOST", 3)
    around = await Around("desk=json://a").start()
    await around.add(*(alert(NOW - 61 * MINUTE, f"OLD{n}USDT") for n in range(7)))
    await around.add(alert(NOW, "FRESHUSDT"))
    around.lose(since=600)
    for _ in range(4):
        await around.look(S)
    (text,) = around.services.of(0)
    assert "FRESHUSDT" in text
    assert "OLD" not in text


async def test_what_an_admins_own_chat_is_told_is_no_fault() -> None:
    around = await Around("admins=json://a").start()
    names = ("summary 1", "paused file:x 1", "again:1", "catalog:1", "rules:taken:1")
    told = [notice_row(name, Target(ADMIN), Written("private"), NOW) for name in names]
    await around.add(*told, *faults("The feed is silent", NOW))
    around.faults.begin("feed", lambda _: "It began", NOW)
    await around.add(*around.faults.end("feed", lambda _: "It is over", NOW))
    around.lose(since=600)
    await around.look(S)
    (text,) = around.services.of(0)
    assert "The feed is silent" in text
    assert "It is over" in text
    assert "private" not in text


async def test_a_chat_named_by_its_id_is_followed_to_its_new_one_over_a_restart_too() -> None:
    before = await Around(f"{DESK}=json://a").start()
    await before.live.move_chat(DESK, -500)
    for around in (before, Around(f"{DESK}=json://a", before.store)):
        restore_desk(around.desk, await before.store.load(), RulesFile((), {}, {}), NOW)
        await around.add(alert(NOW, f"S{id(around)}USDT", chat_id=-500))
        around.lose(since=600)
        await around.look(S)
        assert f"S{id(around)}USDT" in around.services.of(0)[0]


async def test_one_service_that_fails_keeps_no_other_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    around = await Around("desk=json://a desk=json://b desk=json://c").start()
    around.services.refuses, around.services.hangs = {0}, {1}
    await around.add(alert(NOW))
    around.lose()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            await around.look(AFTER)
        assert len(around.services.of(2)) == 1
        assert (await around.copied())[0] is Copied.BEGUN
        assert caplog.text.count("The second channel fails (entry 1 of FALLBACK_URLS)") == 1
        assert around.copying.view.failing == (1,)
        around.services.refuses.clear()
        await around.look(S)
    assert "works again (entry 1" in caplog.text
    (late,) = around.services.of(0)
    assert "Possible repeat" in late  # nobody knows what became of the attempts before
    assert "Possible repeat" not in around.services.of(2)[0]
    assert around.copying.results == {"ok": 2, "failed": 3}
    await around.copying.close()


async def test_pauses_grow_while_a_service_fails() -> None:
    around = await Around("desk=json://a").start()
    around.services.refuses = {0}
    await around.add(*[alert(NOW + number * AFTER, f"S{number}USDT") for number in range(9)])
    around.lose()
    pauses = []
    for _ in range(8):
        await around.look(AFTER)
        pauses.append(round(around.copying._services[0].next_at - time.monotonic()))
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


async def test_the_end_is_told_once_to_those_who_heard_of_it() -> None:
    around = await Around("json://a desk=json://b").start()
    await around.add(alert(NOW))
    around.lose()
    await around.look(AFTER)
    around.reach()
    for _ in range(3):
        await around.look(S)
    _, last = around.services.of(1)
    assert "Telegram can be reached again" in last
    assert around.services.of(0) == []
    around.lose(since=0)
    await around.add(alert(around.time, "EUSDT"))
    await around.look(AFTER + S)
    assert "EUSDT" in around.services.of(1)[2]
    assert "BTCUSDT" not in around.services.of(1)[2]


@pytest.mark.parametrize(("down", "copied"), [(2 * S, 1), (AFTER + S, 0)])
async def test_a_restart_goes_on_counting_unless_it_took_long(down: int, copied: int) -> None:
    before = await Around("desk=json://a").start()
    before.lose(since=0)
    await before.look(S)
    await before.look(AFTER - 4 * S)
    await before.live.note([], {SENDING_AT: str(before.time)})
    after = Around("desk=json://a", before.store)
    after.time = before.time + down
    after.copying._began = after.time
    await after.add(alert(after.time))
    after.copying.restore((await after.store.load()).facts)
    after.lose()
    await after.look(2 * S)
    assert len(after.services.taken) == copied


async def test_what_was_begun_before_a_crash_is_sent_again_marked_and_its_end_is_told() -> None:
    before = await Around("desk=json://a json://b").start()
    await before.add(alert(NOW), *faults("x", NOW))
    before.services.hangs = {0}
    before.lose()
    await before.look(AFTER)
    assert await before.copied() == [Copied.BEGUN, Copied.DONE, Copied.DONE]
    await before.live.note([], {SENDING_AT: str(before.time)})
    await before.copying.close()
    after = Around("desk=json://a json://b", before.store)
    after.time = before.time + S
    after.copying.restore((await after.store.load()).facts)
    await after.look()
    assert after.services.taken == []  # nothing is known of Telegram yet
    after.lose()
    await after.look(S)
    (text,) = after.services.of(0)
    assert "Possible repeat" in text
    assert after.services.of(1) == []
    after.reach()
    await after.look(S)
    assert "reached again" in after.services.of(0)[1]
    assert "reached again" in after.services.of(1)[0]
    kept = msgspec.json.decode((await after.store.load()).facts[SECOND])
    assert kept == {"since": 0, "told": [], "unknown": []}


async def test_a_name_that_the_rules_file_lacks_is_told_once_and_when_it_is_known() -> None:
    around = await Around("typo=json://a desk=json://b typo=json://c").start()
    for _ in range(3):
        await around.look(S)
    told = [row for row in around.store._outbox.rows.values() if b"typo" in row.payload]
    assert len(told) == 2  # to each admin
    assert around.faults.is_active(NAMES)
    again = Around("typo=json://a", around.store)
    again.copying.restore((await around.store.load()).facts)
    await again.look(S)
    assert again.faults.is_active(NAMES)  # as /status shows
    assert len([row for row in around.store._outbox.rows.values() if b"typo" in row.payload]) == 2
    around.desk.chat_names["typo"] = Target(-6)
    await around.look(S)
    assert not around.faults.is_active(NAMES)


# -- the whole program -------------------------------------------------------------------------


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        yield made


def write_rules(place: Place) -> None:
    place.telegram.add_chat(DESK)
    place.rules.write_text(
        f"version: 1\nchats:\n  desk: {{id: {DESK}}}\nrules:\n"
        '  - {name: hot, symbols: ETHUSDT, when: "rate > 0.1%", to: desk}\n',
        encoding="utf-8",
    )


@pytest.mark.timeout(120)
async def test_an_alert_goes_by_the_second_channel_and_to_telegram_when_it_returns(
    place: Place,
) -> None:
    write_rules(place)
    async with Receiver() as receiver:
        urls = f"desk={receiver.address('desk-secret')} {receiver.address('admin-secret')}"
        async with place.start(FALLBACK_URLS=urls, FALLBACK_AFTER="2s") as run:
            await run.said("Rows flow")
            await place.telegram.go_down()
            place.venue.set_row("ETHUSDT", rate="0.00200000")
            text = await receiver.heard("Rule hot")
            assert "this comes by the second channel" in text
            await receiver.heard("cannot reach the Telegram server")
            await place.telegram.come_back()
            await place.heard(DESK, "Rule hot", within=40)
            await receiver.heard("Telegram can be reached again", within=40)
            assert await run.stop() == 0
        assert len([text for text in receiver.texts if "Rule hot" in text]) == 1
        assert len([m for m in place.telegram.to(DESK) if "Rule hot" in m.text]) == 1
        admin = [message.text for message in place.telegram.to(ADMIN)]
        for words in ("cannot reach the Telegram server", "Telegram can be reached again"):
            assert len([text for text in admin if words in text]) == 1
    assert "desk-secret" not in run.output
    assert "admin-secret" not in run.output
    assert "Traceback" not in run.output


@pytest.mark.timeout(120)
async def test_a_second_channel_that_hangs_delays_neither_the_engine_nor_the_end(
    place: Place,
) -> None:
    write_rules(place)
    async with Receiver() as receiver:
        receiver.replies = [Reply(200, b"{}", delay=3_600)] * 9
        urls = f"desk={receiver.address()}?rto=3600"
        async with place.start(FALLBACK_URLS=urls, FALLBACK_AFTER="1s") as run:
            await run.said("Rows flow")
            await place.telegram.go_down()
            place.venue.set_row("ETHUSDT", rate="0.00200000")
            await until(lambda: len(receiver.replies) < 9)
            await place.telegram.come_back()
            place.telegram.say(ADMIN, "/status")
            await place.heard(ADMIN, "Second channel", within=40)
            assert await run.stop() == 0


async def until(holds: Callable[[], object], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - holds() has no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("urls", "words"),
    [("discord://nothing-useful-here", "entry 1"), ("hunter2-hunter2", "entry 1 is not")],
)
async def test_an_address_that_is_none_keeps_the_program_from_starting(
    place: Place, urls: str, words: str
) -> None:
    async with place.start(FALLBACK_URLS=urls) as run:
        assert await run.ended(15) == 2
    assert words in run.output
    assert urls not in run.output
