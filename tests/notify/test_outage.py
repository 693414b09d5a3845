"""When the server counts as down: not for one chat's sake, and its return hastens once."""

import asyncio
from collections.abc import Sequence

import pytest

from bot.notify.channel import Doubtful, Outcome, Sent, Written
from bot.notify.outage import Outage
from bot.store.memory import MemoryStore
from tests.notify.bench import Desk, Wire
from tests.notify.events import event

Step = tuple[str, int, float]  # what became of a request to which chat, when


def judged(steps: Sequence[Step]) -> tuple[bool, int]:
    """Whether it is down at the end, and how often it came back."""
    outage = Outage()
    returns = 0
    for what, chat_id, now in steps:
        outage.asked(chat_id)
        if what == "failed":
            outage.failed(chat_id, now)
        elif what == "answered":
            returns += outage.answered(chat_id)
    return outage.is_on, returns


ALONE: list[Step] = [("failed", 1, 0.0), ("failed", 1, 1.0), ("failed", 1, 3.0)]
BOTH: list[Step] = [("failed", 1, 0.0), ("failed", 2, 0.0), ("failed", 1, 3.0)]


@pytest.mark.parametrize(
    ("steps", "is_down", "returns"),
    [
        (ALONE, True, 0),
        (ALONE[:2], False, 0),
        (BOTH, True, 0),
        ([("failed", chat_id, 1.9) for chat_id in range(9)], False, 0),  # a moment's trouble
        ([*ALONE, ("answered", 1, 4.0)], False, 1),
        ([*BOTH, ("answered", 3, 4.0), ("answered", 1, 4.0)], False, 1),
        ([*BOTH, ("answered", 3, 4.0), *ALONE], True, 1),
        ([("asked", 2, 0.0), *ALONE], False, 0),  # nobody knows yet how another one fares
        ([("asked", 2, 0.0), *ALONE, ("failed", 2, 9.0)], True, 0),
        ([*ALONE[:2], ("answered", 2, 2.0), *ALONE, *ALONE], False, 0),  # its own trouble
        ([*ALONE, ("answered", 2, 4.0), *ALONE, *ALONE], False, 1),
        ([*ALONE[:2], ("answered", 2, 2.0), ("answered", 1, 2.5), *ALONE], True, 0),
        ([*ALONE[:2], ("answered", 3, 2.0), *ALONE, ("failed", 2, 0.0), *BOTH], False, 0),
    ],
)
def test_an_outage_is_several_failures_without_an_answer(
    steps: Sequence[Step], is_down: bool, returns: int
) -> None:
    assert judged(steps) == (is_down, returns)


class Deaf(Wire):
    """Chats whose messages arrive without an answer, beside others that are well."""

    def __init__(self, *deaf: int) -> None:
        super().__init__()
        self.deaf = deaf

    async def send(self, chat_id: int, topic: int | None, written: Written) -> Outcome:
        await asyncio.sleep(0)
        self.arrived.append((chat_id, topic, written))
        return Doubtful("no answer") if chat_id in self.deaf else Sent(len(self.arrived))

    def copies(self) -> list[int]:
        told = [chat_id for chat_id, _, _ in self.arrived]
        return [told.count(chat_id) for chat_id in self.deaf]


class Hastened(MemoryStore):
    """Counts how often nothing was to wait any more."""

    times = 0

    async def hasten(self, now: int) -> None:
        self.times += 1
        await super().hasten(now)


@pytest.mark.parametrize("every", [1, 5, 20, 60])
@pytest.mark.parametrize("deaf", [(1,), (1, 2, 3), tuple(range(1, 9))])
async def test_chats_that_never_answer_get_seven_copies_in_ten_minutes_while_others_are_told(
    deaf: tuple[int, ...], every: int
) -> None:
    store = Hastened()
    desk = Desk(Deaf(*deaf), store)
    for second in range(600):
        for chat_id in deaf:
            if second == chat_id:
                await desk.tell(desk.alert(event(), chat_id))
        if second % every == 0:
            await desk.tell(desk.alert(event("ETHUSDT", since=second), 99))
        await desk.turn()
        desk.skip(1_000)
    assert isinstance(desk.wire, Deaf)
    assert max(desk.wire.copies()) <= 7
    assert store.times <= 1  # as long as nobody else was told, it looked like the server
    if every == 1:
        assert desk.around.said == []
