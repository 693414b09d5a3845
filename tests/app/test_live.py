"""The engine and its record in step, on a memory store: what a commit holds, and when."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot import __version__
from bot.alerts.engine import Engine
from bot.app.desk import Desk
from bot.app.ends import ENDS
from bot.app.faults import Faults
from bot.app.live import Live
from bot.app.parts import Parts, Replacement
from bot.chat.answer import Answer
from bot.chat.request import Request, RequestKind
from bot.market.catalog import Catalog
from bot.notify.payload import decode_payload
from bot.ops.metrics import build_metrics
from bot.store.memory import MemoryStore
from bot.store.port import StoreError
from bot.store.records import ChatRow, Commit, Committed, OutboxKind, OutboxRow, Watch
from tests.alerts.build import START, rule, tick

ADMIN, HIGH, LOW = 7, "0.002", "0.0001"
S = 1000


class Failing(MemoryStore):
    """A store that cannot write while `broken`."""

    broken = False

    async def commit(self, commit: Commit) -> Committed:
        if self.broken:
            raise StoreError("the disk is full")
        return await super().commit(commit)


class Around:
    """A Live with everything that it needs, and the time in hand."""

    def __init__(self, *watches: Watch) -> None:
        self.store = Failing()
        self.desk = Desk([ADMIN])
        self.desk.watches = {watch.rule_id: watch for watch in watches}
        self.desk.book = self.desk.joined([])
        self.engine = Engine(self.desk.book.rules, Catalog())
        self.faults = Faults(self.desk.admin_readers)
        self.time = START
        self.unrecorded: list[OutboxRow] = []
        parts = Parts(self.engine, self.store, self.desk, self.faults, build_metrics(__version__))
        self.live = Live(
            parts,
            now=lambda: self.time,
            wall=lambda: self.time,
            wake=lambda: None,
            say_unrecorded=self.unrecorded.append,
        )

    async def start(self) -> "Around":
        await self.store.open()
        watches = tuple(self.desk.watches.values())
        await self.store.commit(Commit(watches=watches, chats=(ChatRow(ADMIN, next_watch=9),)))
        self.desk.chats[ADMIN] = ChatRow(ADMIN, next_watch=9)
        return self

    async def row(self, at: int, rate: str, symbol: str = "BTCUSDT") -> None:
        self.time = START + at * S
        await self.live.take([tick(at, rate, symbol)])

    async def told(self) -> list[str]:
        """The waiting rows, as `kind rule` of alerts and the first words of texts."""
        rows = sorted(self.store._outbox.rows.values(), key=lambda row: row.id)
        said = []
        for row in rows:
            payload = decode_payload(row)
            text = getattr(payload, "text", "")
            said.append(text or f"{payload.kind} {payload.rule}")  # type: ignore[union-attr]
        return said


def watch(line: str, number: int = 1) -> Watch:
    return Watch(ADMIN, None, number, line, START, ADMIN)


@pytest.mark.parametrize("line", ["BTCUSDT rate > 0.1% once", "BTCUSDT rate > 0.1% until 1m"])
async def test_a_watch_that_has_run_its_course_leaves_and_what_it_told_is_sent(line: str) -> None:
    around = await Around(watch(line)).start()
    await around.row(0, HIGH)
    await around.row(60, HIGH)
    assert await around.told() == ["fired #1"]
    assert around.desk.watches == {}
    assert around.desk.book.rules == ()
    assert (await around.store.load()).watches == ()


async def test_what_a_rule_tells_in_the_frame_that_ends_it_is_sent() -> None:
    around = await Around(watch("BTCUSDT,ETHUSDT rate > 0.1% until 1m")).start()
    await around.row(0, LOW)
    await around.live.take([tick(59, HIGH), tick(60, HIGH, "ETHUSDT")])
    assert await around.told() == ["fired #1"]
    assert around.desk.watches == {}


async def test_what_cannot_be_recorded_is_kept_and_made_up_for() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    around.store.broken = True
    await around.row(0, HIGH)
    await around.row(1, LOW)
    await around.row(2, HIGH)
    assert await around.told() == []
    assert len(around.unrecorded) == 1
    around.store.broken = False
    await around.row(3, HIGH)
    await around.row(4, HIGH)
    *alerts, recovery = await around.told()
    assert alerts == ["fired #1", "resolved #1", "fired #1"]
    assert "can be written again" in recovery


async def test_a_mute_that_runs_out_tells_what_is_still_on_once() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    around.desk.chats[ADMIN] = ChatRow(ADMIN, muted_until=START + 60 * S)
    await around.row(0, HIGH)
    assert await around.told() == []
    around.time = START + 61 * S
    for _ in range(2):
        await around.live.end_mutes()
    (said,) = await around.told()
    assert "The mute is over" in said
    assert "BTCUSDT</b> #1" in said


async def test_a_chat_out_of_reach_hears_what_is_still_on_when_it_is_back() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    blocked = ChatRow(ADMIN, disabled="blocked")
    around.desk.chats[ADMIN] = blocked
    await around.row(0, HIGH)
    assert await around.told() == []
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="/list")
    await around.live.apply(request, Answer(chats=(ChatRow(ADMIN),)), blocked)
    (said,) = await around.told()
    assert "can be written to again" in said
    assert "BTCUSDT</b> #1" in said


async def test_what_waited_for_a_chat_out_of_reach_is_counted_when_it_is_back() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    await around.row(0, HIGH)  # decided, and refused: the chat is out of reach
    blocked = ChatRow(ADMIN, disabled="blocked")
    around.desk.chats[ADMIN] = blocked
    await around.store.commit(Commit(chats=(blocked,)))
    await around.row(1, "0")
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="hello")
    await around.live.apply(request, Answer(chats=(ChatRow(ADMIN),)), blocked)
    rows = await around.store.lease(around.time, around.time + 60_000, 99)
    assert [row.kind for row in rows] == [OutboxKind.NOTICE]
    assert "not sent: 1" in decode_payload(rows[0]).text  # type: ignore[union-attr]


async def test_an_answer_changes_only_what_it_was_about() -> None:
    around = await Around().start()
    base = ChatRow(ADMIN, muted_until=5)
    around.desk.chats[ADMIN] = ChatRow(ADMIN, muted_until=0)  # the mute ended meanwhile
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="/x")
    await around.live.apply(request, Answer(chats=(replace_row(base, title="New"),)), base)
    assert around.desk.chats[ADMIN] == ChatRow(ADMIN, muted_until=0, title="New")


def replace_row(row: ChatRow, **changes: str) -> ChatRow:
    return ChatRow(**{name: getattr(row, name) for name in row.__struct_fields__} | changes)


async def test_a_reload_joins_the_watches_of_the_moment_it_is_carried_out() -> None:
    around = await Around().start()
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="/watch")
    answer = Answer(watches=(watch("BTCUSDT rate > 0.1%"),))

    def plan() -> Replacement:
        return Replacement(around.desk.joined([rule("rate > 1%", name="a")]), {})

    await around.live.apply(request, answer, None)
    await around.live.replace_rules(plan)
    assert [each.name for each in around.engine.rules] == ["a", "#1"]


async def test_a_group_that_moves_keeps_its_alerts_on() -> None:
    group = replace_watch(watch("BTCUSDT rate > 0.1%"), chat_id=-5)
    around = await Around(group).start()
    await around.row(0, HIGH)
    await around.live.move_chat(-5, -100)
    await around.row(1, HIGH)
    await around.row(2, LOW)
    assert await around.told() == ["fired #1", "resolved #1"]
    assert {row.chat_id for row in around.store._outbox.rows.values()} == {-100}


async def test_a_watch_that_ran_out_while_nothing_could_be_stored_stays_gone_after_a_move() -> None:
    once = Watch(-5, None, 1, "BTCUSDT rate > 0.1% once", START, ADMIN)
    around = await Around(once).start()
    around.store.broken = True
    await around.row(0, HIGH)
    await around.row(1, LOW)
    assert around.desk.watches == {}
    around.store.broken = False
    await around.live.move_chat(-5, -100)
    saved = await around.store.load()
    assert saved.watches == ()
    assert ENDS not in saved.facts


async def test_ends_that_wait_follow_a_group_that_moves() -> None:
    around = await Around(replace_watch(watch("BTCUSDT rate > 0.1%"), chat_id=-5)).start()
    await around.row(0, HIGH)
    (fired,) = await around.store.lease(around.time, around.time + 60 * S, 9)
    gone = around.desk.book.without_watch(fired.rule_id)
    await around.live.replace_rules(lambda: Replacement(gone, {}))
    await around.live.move_chat(-5, -100)
    facts = (await around.store.load()).facts
    assert "watch:-100:1" in facts[ENDS]
    assert "watch:-5:1" not in facts[ENDS]


def replace_watch(made: Watch, chat_id: int) -> Watch:
    return Watch(chat_id, None, made.number, made.line, made.created_at, made.created_by)


async def test_a_claim_brings_the_alerts_that_nobody_heard() -> None:
    around = await Around().start()
    around.desk._named_admins = frozenset()
    await around.live.replace_rules(
        lambda: Replacement(around.desk.joined([rule("rate > 0.1%", name="hot")]), {})
    )
    await around.row(0, HIGH)
    assert await around.told() == []
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="/start x")
    await around.live.apply(request, Answer(claim=ADMIN), None)
    (said,) = await around.told()
    assert "BTCUSDT</b> hot" in said


async def test_the_message_of_an_edited_rule_says_that_it_is_over() -> None:
    around = await Around(watch("BTCUSDT rate > 0.1%")).start()
    await around.row(0, HIGH)
    (fired,) = await around.store.lease(around.time, around.time + 1, 9)
    sent: Callable[..., OutboxRow] = replace_outbox
    await around.store.settle([sent(fired)])
    request = Request(5, ADMIN, "private", RequestKind.TEXT, user_id=ADMIN, text="/unwatch 1")
    await around.live.apply(request, Answer(unwatched=((ADMIN, 1),)), None)
    edit = max(around.store._outbox.rows.values(), key=lambda row: row.id)
    payload = decode_payload(edit)
    assert getattr(payload, "edit_of", None) == 44
    assert "changed or removed" in getattr(payload, "text", "")


def replace_outbox(row: OutboxRow) -> OutboxRow:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return OutboxRow(**fields | {"status": "sent", "message_id": 44})


async def test_unknown_rules_of_an_earlier_run_end() -> None:
    around = await Around().start()
    gone = replace(rule("rate > 0.1%"), id="file:gone")
    before = Engine([gone], Catalog())
    before.on_frame([tick(0, HIGH)])
    around.engine.restore(before.changes().states, [], START)
    await around.live.advance(START + S)
    assert (await around.store.load()).states == ()
