"""The second channel over real HTTP: what is taken, what is not, and what nobody may read."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from bot.notify.channel import Written
from bot.notify.copies import MOST_NOTICES, due, write_copies
from bot.notify.item import Reader
from bot.notify.payload import notice_row, outbox_row_for
from bot.notify.second_channel import SecondChannel, SecondChannelError
from bot.notify.second_entries import Entry, read_entries, secrets_of
from bot.rules.rule import Target
from bot.store.records import OutboxRow
from tests.doubles.loopback_server import Reply
from tests.doubles.receiver import Receiver
from tests.notify.events import AT, event

MINUTE = 60_000


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


async def test_a_text_arrives_as_it_is(receiver: Receiver) -> None:
    channel = SecondChannel([receiver.address()])
    text = "🔔 <b>not markup</b> & rate > 0.05% \\n {x}\n第二行"
    assert await channel.send(0, text) == ""
    assert receiver.texts == [text]


async def test_each_address_is_a_service_of_its_own(receiver: Receiver) -> None:
    channel = SecondChannel([receiver.address("first"), receiver.address("second")])
    assert not any(await asyncio.gather(channel.send(1, "b"), channel.send(0, "a")))
    assert sorted(zip(receiver.paths, receiver.texts, strict=True)) == [
        ("/first", "a"), ("/second", "b"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reply", [Reply(500, b"oops"), Reply(403, b"secret-path-of-the-tests"), Reply(0)]
)
async def test_a_refusal_is_a_reason_without_the_address(
    receiver: Receiver,
    reply: Reply,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    receiver.replies = [reply]
    channel = SecondChannel([receiver.address()])
    with caplog.at_level(logging.DEBUG):
        reason = await channel.send(0, "hello")
    said = reason + caplog.text + "".join(capfd.readouterr()) + repr(channel)
    assert "JSON" in reason
    assert "secret-path-of-the-tests" not in said


async def test_a_text_that_is_too_long_for_a_service_comes_in_parts(receiver: Receiver) -> None:
    text = "\n".join(f"line {number} of many" for number in range(3_000))
    assert await SecondChannel([receiver.address()]).send(0, text) == ""
    assert len(receiver.texts) > 1
    assert all(f"line {number} of many" in "".join(receiver.texts) for number in (0, 1500, 2999))
    assert await SecondChannel([receiver.address() + "?overflow=truncate"]).send(0, text) == ""
    assert "line 2999" not in receiver.texts[-1]


async def test_nobody_there_is_a_reason(receiver: Receiver) -> None:
    channel = SecondChannel([receiver.address()])
    await receiver.go_down()
    assert "onnection" in await channel.send(0, "hello")


async def test_one_that_hangs_is_given_up_and_not_asked_again_before_it_ends(
    receiver: Receiver,
) -> None:
    receiver.replies = [Reply(200, b"{}", delay=1.0)]
    channel = SecondChannel([receiver.address()], within=0.1)
    began = time.monotonic()
    assert await channel.send(0, "hello") == "no end within 0.1 s"
    assert await channel.send(0, "hello") == "the attempt before has not ended yet"
    assert time.monotonic() - began < 0.9
    (hanging,) = [one for one in threading.enumerate() if one is not threading.main_thread()]
    assert hanging.daemon  # the program's end does not wait for it
    await asyncio.to_thread(hanging.join, 10)
    assert await channel.send(0, "again") == ""


def test_an_address_that_cannot_be_read_is_named_by_its_place() -> None:
    with pytest.raises(SecondChannelError, match="entry 2") as caught:
        SecondChannel(["json://127.0.0.1/a", "nonsense://hunter2"])
    assert "hunter2" not in str(caught.value)


def test_nothing_is_loaded_that_nobody_asked_for() -> None:
    code = "import sys, bot.app.run, bot.cli; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- entries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "chats"),
    [
        ("json://a", ["admins"]),
        ("json://a,json://b", ["admins", "admins"]),
        ("desk=json://a?x=1,2&y=b=c,-100=json://b", ["desk", "-100"]),
        ("admins=json://a\n  desk=json://b\t7=json://c ,", ["admins", "desk", "7"]),
        ("торговля=json://a", ["торговля"]),
    ],
)
def test_entries_are_told_apart(text: str, chats: list[str]) -> None:
    entries = read_entries(text)
    assert [entry.chat for entry in entries] == chats
    assert all(entry.url.startswith("json://") for entry in entries)
    assert "json" not in repr(entries)


@pytest.mark.parametrize("text", ["", ",", "json:/a", "=json://a", "desk=", "x y=json://a"])
def test_what_is_no_entry_is_said_without_it(text: str) -> None:
    with pytest.raises(ValueError, match="entries like admins=mailto://") as caught:
        read_entries(text)
    assert not text.strip(",") or text not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("discord://123456789/abc_defghij", ("123456789", "abc_defghij")),
        ("mailto://bot:p%40ss@mail.example?to=a@b.example", ("p%40ss", "p@ss", "to=a@b.example")),
        ("json://127.0.0.1:8080/short", ()),
        ("tgram://123456789:Secret_of_12345/42", ("123456789", "Secret_of_12345")),
        ("json://localhost/0a1b2c3d", ("0a1b2c3d",)),
        ("slack://TokenAAAA/TokenBBBB?x=hunter2hunter2", ("TokenAAAA", "hunter2hunter2")),
    ],
)
def test_the_pieces_of_an_address_are_secrets_of_their_own(
    url: str, secrets: tuple[str, ...]
) -> None:
    found = secrets_of(url)
    assert found[0] == url
    pieces = {piece for secret in secrets for piece in secret.split("=") if len(piece) > 3}
    assert pieces <= set(found)
    assert not {"127.0.0.1", "localhost", "mail.example"} & set(found)


# -- what is copied ----------------------------------------------------------------------------


def fault(words: str, chat_id: int) -> OutboxRow:
    return notice_row(f"fault:{words}", Target(chat_id), Written(f"⚠️ <b>{words}</b>"), AT)


def test_the_admins_notices_are_copied_once_and_nothing_else_of_theirs() -> None:
    alert = outbox_row_for(event(), Target(7), AT)
    rows = [fault("a", 7), fault("a", 8), alert, fault("b", 8), fault("a", 9)]
    assert [(row.chat_id, row.kind) for row in due(rows, None, {7, 8})] == [
        (7, "notice"), (8, "notice"),
    ]  # fmt: skip


@pytest.mark.parametrize(("topic", "count"), [(None, 3), (42, 1)])
def test_a_chats_rows_are_those_of_its_topic_if_one_is_named(topic: int | None, count: int) -> None:
    targets = (Target(-5), Target(-5, 42), Target(-5, 43), Target(-6, 42))
    rows = [outbox_row_for(event(), target, AT) for target in targets]
    assert len(due(rows, Target(-5, topic), ())) == count


def test_very_many_notices_go_in_several_messages() -> None:
    rows = [fault(str(number), 7) for number in range(100)]
    assert len(due(rows, None, {7})) == MOST_NOTICES


def test_a_copy_says_why_it_comes_this_way_and_reads_without_markup() -> None:
    rows = [fault("the feed is &lt; silent &gt;", 7), outbox_row_for(event(), Target(7), AT)]
    text = write_copies(rows, (), Reader("en", "UTC"), AT - 5 * MINUTE, AT)
    head, notice, *alert = text.split("\n\n")
    assert head.startswith("Telegram cannot be reached since ")
    assert head.endswith(" UTC; this comes by the second channel.")
    assert notice == "⚠️ the feed is < silent >"
    assert "Rule " in alert[0]
    assert "repeat" not in text


def test_a_copy_that_may_have_come_before_says_so() -> None:
    rows = [
        msgspec.structs.replace(row, id=number)
        for number, row in enumerate([fault("a", 7), outbox_row_for(event(), Target(7), AT)], 1)
    ]
    for repeated, count in (({1}, 1), ({1, 2}, 2), ((), 0)):
        text = write_copies(rows, repeated, Reader(), AT, AT)
        assert text.count("Possible repeat") == count


def test_many_alerts_are_a_table_and_an_old_outage_has_its_date() -> None:
    rows = [outbox_row_for(event(symbol=f"S{number}USDT"), Target(7), AT) for number in range(100)]
    text = write_copies(rows, (), Reader(), AT - 24 * 60 * MINUTE, AT)
    assert "+80 more" in text
    assert "<" not in text
    assert len(text) < 4_000


def test_entries_do_not_show_their_address() -> None:
    assert "hunter2" not in repr(Entry("desk", "json://hunter2"))
