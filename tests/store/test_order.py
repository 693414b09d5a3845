"""Random lives of the rows of two chats: nothing is lost, and nothing goes before its turn."""

import asyncio
from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.store.memory import MemoryStore
from bot.store.order import PASSING
from bot.store.records import Commit, Held, OutboxKind, OutboxRow, OutboxStatus, Pause
from tests.store.build import again, row, sent, uncertain

CHATS, RULES, TOPICS = (1, 2), ("file:hot", "file:cold"), (None, 4)
KINDS = [*[OutboxKind.ALERT] * 4, *[OutboxKind.REPLY] * 4, OutboxKind.NOTICE]
WAITS = (OutboxStatus.NEW, OutboxStatus.LEASED, OutboxStatus.UNCERTAIN)
OUTCOMES: dict[str, Callable[[OutboxRow, int], OutboxRow]] = {
    "sent": sent,
    "again": again,
    "uncertain": uncertain,
}

Pair = tuple[int, str]
pairs = st.tuples(st.sampled_from(CHATS), st.sampled_from(RULES))
kinds = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(TOPICS)), min_size=1, max_size=8)
steps = st.one_of(
    st.tuples(st.just("add"), pairs, kinds),
    st.tuples(st.just("lease"), st.integers(1, 5), st.just(None)),
    st.tuples(st.just("send"), st.integers(1, 8), st.just(None)),
    st.tuples(
        st.just("settle"), st.sampled_from(["sent", "again", "uncertain"]), st.integers(1, 5)
    ),
    st.tuples(st.just("pause"), pairs, st.just(None)),
    st.tuples(st.just("resume"), pairs, st.just(None)),
    st.tuples(st.just("pass"), st.integers(1, 30), st.just(None)),
)


class Life:
    """Carries steps out and looks at every lease: was it these rows' turn?"""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = 0
        self.keys: list[str] = []
        self.leased: list[OutboxRow] = []
        self.paused: set[Pair] = set()
        self.passed: dict[int, int] = {}  # alert -> replies that went while it could have

    async def rows(self) -> list[OutboxRow]:
        found = [await self.store.row_of(key) for key in self.keys]
        return [row for row in found if row is not None]

    async def add(self, pair: Pair, added: Sequence[tuple[OutboxKind, int | None]]) -> None:
        chat_id, rule_id = pair
        for kind, topic in added:
            one = row(chat_id, kind=kind, topic=topic, rule_id=rule_id)
            self.keys.append(one.key)
            await self.store.commit(Commit(outbox=(one,)))

    async def lease(self, limit: int, _: None) -> None:
        before = await self.rows()
        claimed = await self.store.lease(self.now, self.now + 10, limit)
        for chat_id in {each.chat_id for each in claimed}:
            mine = [each for each in claimed if each.chat_id == chat_id]
            self.look(mine, [each for each in before if each.chat_id == chat_id])
        self.leased += claimed

    def look(self, mine: Sequence[OutboxRow], before: Sequence[OutboxRow]) -> None:
        """Whether a claim of one chat was its turn, given all of its rows as they were."""
        was = {row.id: row for row in before}
        assert len(mine) == 1 or {row.kind for row in mine} == {OutboxKind.ALERT}
        assert len({row.doubtful for row in mine}) == 1
        assert not any(row.held or was[row.id].held for row in mine)
        alerts = [row for row in mine if row.kind is OutboxKind.ALERT]
        assert not any((row.chat_id, row.rule_id) in self.paused for row in alerts)
        busy = [row for row in before if row.status is OutboxStatus.LEASED]
        assert all(row.lease_until <= self.now for row in busy)
        first, ids = mine[0], [row.id for row in mine]
        assert {row.topic for row in mine} == {first.topic}
        waiting = [row for row in before if _waits(row)]
        if first.kind is OutboxKind.REPLY:
            for alert in waiting:
                if self.could_go(alert, waiting):
                    self.passed[alert.id] = self.passed.get(alert.id, 0) + 1
                    assert self.passed[alert.id] <= PASSING
        else:
            ahead = {r.id for r in waiting if r.topic == first.topic and r.id < ids[-1]}
            assert ahead <= set(ids)
        assert ids == sorted(ids)

    def could_go(self, alert: OutboxRow, waiting: Sequence[OutboxRow]) -> bool:
        """Whether nothing of its topic has to wait for its time before it, nor it itself."""
        ahead = [r for r in waiting if r.topic == alert.topic and r.id <= alert.id]
        return all(r.not_before <= self.now for r in ahead)

    async def settle(self, outcome: str, count: int) -> None:
        rows, self.leased = self.leased[:count], self.leased[count:]
        await self.store.settle([OUTCOMES[outcome](one, self.now + 5) for one in rows])

    async def send(self, times: int, _: None) -> None:
        for _number in range(times):
            await self.lease(1, None)
            await self.settle("sent", len(self.leased))

    async def pause(self, pair: Pair, _: None) -> None:
        self.paused.add(pair)
        await self.store.commit(Commit(pauses=(Pause(*pair, "name", self.now, "notice"),)))

    async def resume(self, pair: Pair, _: None) -> None:
        self.paused.discard(pair)
        await self.store.commit(Commit(resumed=(pair,)))

    async def run(self, given_steps: Sequence[tuple[str, object, object]]) -> None:
        for name, first, second in given_steps:
            if name == "pass":
                assert isinstance(first, int)
                self.now += first
            else:
                await getattr(self, name)(first, second)

    async def finish(self) -> None:
        """Resumes everything and sends what is left."""
        for chat_id in CHATS:
            for rule_id in RULES:
                await self.resume((chat_id, rule_id), None)
        for _ in range(3 * len(self.keys) + 3):
            self.now += 10
            await self.settle("sent", len(self.leased))
            await self.lease(1_000, None)


def _waits(row: OutboxRow) -> bool:
    """Whether it is an alert that waits for being sent."""
    return row.kind is OutboxKind.ALERT and row.status in WAITS and row.held is Held.NO


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(steps, max_size=30))
def test_whatever_happens_all_is_sent_and_in_its_turn(
    given_steps: list[tuple[str, object, object]],
) -> None:
    async def live() -> None:
        life = Life()
        await life.run(given_steps)
        await life.finish()
        assert [row.status for row in await life.rows()] == [OutboxStatus.SENT] * len(life.keys)
        assert await life.store.pending() == 0

    asyncio.run(live())
