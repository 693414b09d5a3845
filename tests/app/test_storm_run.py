"""A storm as a chat meets it: the whole program, its buttons and a restart."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bot.notify.payload import outbox_row_for
from bot.notify.storm import MESSAGES
from bot.rules.rule import Target
from bot.store.records import Commit, OutboxStatus
from bot.store.sql import SqlStore
from tests.app.program import ADMIN, Place, a_place
from tests.app.test_run import stored
from tests.notify.events import event

HIGH = "0.00200000"
SYMBOLS = ("ETHUSDT", "BTCUSDT", "SOLUSDT")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        made.write_rules('{name: hot, symbols: ALL, when: "rate > 0.1%"}')
        yield made


async def full(place: Place) -> None:
    """An earlier run has sent as many messages of the rule as may be, just now."""
    store = SqlStore(f"sqlite:///{place.folder}/bot.db")
    await store.open()
    now = time.time_ns() // 1_000_000
    for number in range(MESSAGES):
        told = event(f"OLD{number}USDT", rule_id="file:hot", rule="hot")
        await store.commit(Commit(outbox=(outbox_row_for(told, Target(ADMIN), now),)))
        (row,) = await store.lease(now, now + 1, 1)
        sent = msgspec.structs.replace(
            row, status=OutboxStatus.SENT, message_id=number + 1, sent_at=now
        )
        await store.settle([sent])
    await store.close()


async def test_a_paused_rule_is_resumed_by_its_button_after_a_restart_and_tells_what_was_held(
    place: Place,
) -> None:
    await full(place)
    async with place.start() as run:
        await run.said("Rows flow")
        for symbol in SYMBOLS[:2]:
            place.venue.set_row(symbol, rate=HIGH)
        notice = await place.heard(ADMIN, "Rule hot sent 15 messages here within 3 minutes")
        await stored(place, "SELECT count(*) FROM outbox WHERE kind = 'notice' AND status = 'sent'")
        await run.kill()
    async with place.start() as run:
        await run.said("Rows flow")
        place.venue.set_row(SYMBOLS[2], rate=HIGH)
        await place.telegram.wait_for(lambda: "held: 3 so far" in notice.text, timeout=20)
        place.telegram.say(ADMIN, "/list")
        listed = await place.heard(ADMIN, "paused, 3 held")
        assert "/resume hot" in listed.text
        assert [m.text for m in place.telegram.to(ADMIN) if "+0.2000" in m.text] == []
        for _ in range(2):  # a finger that trembles
            place.telegram.press(notice, notice.data[0])
        held = await place.heard(ADMIN, "+0.2000 %")
        assert all(symbol in held.text for symbol in SYMBOLS)
        await place.telegram.wait_for(lambda: "hot goes on; 3 held" in notice.text, timeout=15)
        assert notice.buttons == []
        await place.telegram.wait_for(lambda: len(place.telegram.answers) == 2, timeout=15)
    assert [("goes on" in one["text"]) for one in place.telegram.answers] == [True, False]
    assert len([m for m in place.telegram.to(ADMIN) if "+0.2000" in m.text]) == 1
