"""The inbox keeps the latest tick of each symbol and counts what nobody saw."""

import asyncio

import pytest

from bot.market import inbox as inbox_module
from bot.market.inbox import Inbox, Received
from bot.market.tick import Tick
from tests.market.rows import tick


def ticks(text: str) -> list[Tick]:
    """`A1 B2`: symbol and event time."""
    return [tick(one[0], int(one[1:])) for one in text.split()]


def received(text: str) -> Received:
    return Received(0, text.encode(), tuple(ticks(text)))


@pytest.mark.parametrize(
    ("frames", "batch", "conflated"),
    [
        (["A1 B1"], "A1 B1", 0),
        (["A1 B1", "A2 B2"], "A2 B2", 2),
        (["A1 B1", "A2"], "B1 A2", 1),
        (["A2", "A1"], "A2", 0),
        (["A2", "A2"], "A2", 0),
        (["B1 A1", "C1"], "B1 A1 C1", 0),
        (["", "A1"], "A1", 0),
    ],
)
async def test_newer_ticks_replace_older_ones(
    frames: list[str], batch: str, conflated: int
) -> None:
    inbox = Inbox()
    for frame in frames:
        inbox.put(received(frame))
    assert (await inbox.take()).ticks == tuple(ticks(batch))
    assert inbox.conflated == conflated


@pytest.mark.parametrize("kept", [True, False])
async def test_frames_come_with_their_batch_where_they_are_kept(*, kept: bool) -> None:
    inbox = Inbox(keep_frames=kept)
    inbox.put(received("A1 B1"))
    inbox.put(received("A2"))
    assert [frame.body for frame in (await inbox.take()).frames] == [b"A1 B1", b"A2"] * kept
    inbox.put(received("A3"))
    assert [frame.body for frame in (await inbox.take()).frames] == [b"A3"] * kept


async def test_frames_that_are_too_many_are_let_go_and_no_tick_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox_module, "MOST_FRAMES", 8)
    inbox = Inbox(keep_frames=True)
    for frame in ("A1 B1", "A2 B2", "C3"):
        inbox.put(received(frame))
    batch = await inbox.take()
    assert (batch.ticks, batch.frames) == (tuple(ticks("A2 B2 C3")), ())
    inbox.put(received("A4"))
    assert [frame.body for frame in (await inbox.take()).frames] == [b"A4"]


async def test_taking_waits_for_a_tick_and_then_starts_afresh() -> None:
    inbox = Inbox()
    inbox.put(received(""))
    waiting = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(received("A1"))
    assert (await waiting).ticks == tuple(ticks("A1"))
    again = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    assert not again.done()
    inbox.put(received("A1"))
    assert (await again).ticks == tuple(ticks("A1"))


async def test_what_is_no_newer_than_what_waits_is_counted() -> None:
    inbox = Inbox()
    for frame in ("A2 B1", "A2 B2", "A1"):
        inbox.put(received(frame))
    assert (inbox.repeated, inbox.conflated) == (2, 1)
    assert (await inbox.take()).ticks == tuple(ticks("A2 B2"))
