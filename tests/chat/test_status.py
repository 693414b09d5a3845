"""What /status says of a feed and a sender that are well, or not, in both languages."""

from dataclasses import replace
from typing import Any

import pytest

from bot.chat.access import Access
from bot.chat.world import FeedView, LinkView, RecordingView, SecondView, SenderView
from bot.notify.markup import units
from tests.chat.world import ADMIN, GUEST, STATUS, FakeWorld, said
from tests.doubles.telegram_html import parse_html

OPEN = Access(frozenset({ADMIN}), is_open=True)
HOUR = 3_600_000
WELL = FeedView(
    "flows",
    row_age=900,
    rows_per_second=330.4,
    lag=240,
    skew=-400,
    links=(LinkView(2 * HOUR, 1),),
    catalog_age=3 * 60_000,
    symbols=330,
)


def answer(
    feed: FeedView, sender: SenderView = STATUS.sender, *, language: str = "en", user: int = ADMIN
) -> str:
    world = FakeWorld()
    world.present = replace(STATUS, feed=feed, sender=sender, faults=())
    return said(world.say("/status", user, OPEN, language=language))


def test_all_is_well_in_english() -> None:
    assert answer(WELL).splitlines() == [
        "✅ Feed: rows arrive",
        "Last row: 0s ago",
        "Rows per second: 330",
        "Lag: 0.2 s",
        "Symbols: 330",
        "Connection: open for 2h, streams: 1",
        "Contracts and intervals: taken 3m ago",
        "",
        "✅ Sending: messages can be sent",
        "Last message: none since the start",
        "Waiting to be sent: 4",
        "Recording: off",
        "Rules: 2 of the file, 3 watches, 1 firing",
        "Version 0.1.0, running for 1h",
    ]


def test_all_is_well_in_chinese() -> None:
    assert answer(WELL, language="zh").splitlines() == [
        "✅ 行情：正常接收",
        "最近行情：0s 前",
        "每秒行情：330 条",
        "延迟：0.2 秒",
        "合约：330 个",
        "连接：已持续 2h，数据流 1 个",
        "合约与结算周期：3m 前更新",
        "",
        "✅ 发送：正常",
        "最近一条消息：启动后尚未发送",
        "待发送：4",
        "录制：未开启",
        "规则：文件 2 条，监控 3 条，触发中 1 个",
        "版本 0.1.0，已运行 1h",
    ]


FEEDS: list[tuple[dict[str, Any], str, str]] = [  # what is the matter, in English, in Chinese
    (
        {"state": "silent", "row_age": 12_000},
        "❌ Feed: connected, but silent\nLast row: 12s ago\nSymbols",
        "❌ 行情：已连接，但没有数据\n最近行情：12s 前\n合约",
    ),
    (
        {
            "state": "waiting",
            "next_connect": 57_000,
            "problem": "the venue's firewall refuses this address (HTTP 403)",
        },
        "next attempt in 57s\nWhy: the venue's firewall refuses this address (HTTP 403)",
        "❌ 行情：未连接，57s 后重试\n原因：交易所防火墙拒绝本机 IP（HTTP 403）",
    ),
    (
        {"state": "connecting", "row_age": None},
        "⏳ Feed: connecting\nLast row: none yet",
        "⏳ 行情：正在连接\n最近行情：尚未收到",
    ),
    (
        {"skew": 2_100},
        "⚠️ The clock here is 2.1 s ahead of the venue's",
        "⚠️ 本机时钟比交易所快 2.1 秒",
    ),
    (
        {"skew": -90_000},
        "⚠️ The clock here is 90.0 s behind the venue's",
        "⚠️ 本机时钟比交易所慢 90.0 秒",
    ),
    ({"rows_per_second": 0.33}, "Rows per second: 0.3", "每秒行情：0.3 条"),
    (
        {"stale": tuple("ABCDEFG")},
        "⚠️ Stale: 7 (A, B, C, D, E, …)",
        "⚠️ 行情过期：7 (A, B, C, D, E, …)",
    ),
    (
        {"by_rest": ("BTCUSDT",)},
        "⚠️ Silent in the stream, values by REST: 1 (BTCUSDT)",
        "⚠️ 推送无数据，由 REST 补充：1 (BTCUSDT)",
    ),
    (
        {"state": "silent", "symbols": 7, "by_rest": tuple("ABCDEFG")},
        "Symbols: 7\n⚠️ Values by REST meanwhile, of all of them\nConnection",
        "合约：7 个\n⚠️ 期间全部由 REST 补充\n连接",
    ),
    (
        {"state": "silent", "problem": "no rows", "reconnect_age": 1_000}
        | {"reconnect_reason": "no rows"},
        "Last reconnect: 1s ago\nContracts",
        "上次重连：1s 前\n合约与",
    ),
    (
        {"lag": 5_100},
        "⚠️ Lag: 5.1 s",
        "⚠️ 延迟：5.1 秒",
    ),
    (
        {"gone": ("MATICUSDT", "币安人生USDT")},
        "⚠️ Not traded: 2 (MATICUSDT, 币安人生USDT)",
        "⚠️ 未在交易：2 (MATICUSDT, 币安人生USDT)",
    ),
    (
        {"unanswered": ("foousdt@markPrice@1s",)},
        "⚠️ Acknowledged by the venue, but silent: 1 (foousdt@markPrice@1s)",
        "⚠️ 交易所已确认订阅，但没有数据：1 (foousdt@markPrice@1s)",
    ),
    (
        {
            "reconnect_age": 130_000,
            "reconnect_reason": "the connection is open, but no row came for 8 s",
        },
        "Last reconnect: 2m 10s ago\nWhy: the connection is open, but no row came for 8 s",
        "上次重连：2m 10s 前\n原因：连接正常，但 8 秒没有收到行情",
    ),
    (
        {"links": (LinkView(86_000_000, 200), LinkView(1_000, 200)), "handover_age": 5_000},
        "23h 53m, streams: 200\nConnection: open for 1s, streams: 200\nLast handover to a new",
        "23h 53m，数据流 200 个\n连接：已持续 1s，数据流 200 个\n上次切换到新连接：5s 前",
    ),
    (
        {"catalog_age": None},
        "Contracts and intervals: not known yet",
        "合约与结算周期：尚未获取",
    ),
]


@pytest.mark.parametrize(("changes", "english", "chinese"), FEEDS)
def test_what_is_the_matter_with_the_feed_is_said(
    changes: dict[str, Any], english: str, chinese: str
) -> None:
    assert english in answer(replace(WELL, **changes))
    assert chinese in answer(replace(WELL, **changes), language="zh")


SENDERS = [
    (
        SenderView(is_telegram=True, waiting=9, blocked=("telegram",), is_well=False),
        "❌ Sending: Telegram cannot be reached",
        "❌ 发送：无法连接 Telegram",
    ),
    (
        SenderView(is_telegram=True, waiting=9, blocked=("database", "token"), is_well=False),
        "❌ Sending: the database cannot be written; Telegram refuses the token",
        "❌ 发送：数据库无法写入; Telegram 拒绝此令牌",
    ),
    (
        SenderView(is_telegram=True, waiting=0, answer_age=95_000, is_well=False),
        "❌ Sending: Telegram does not answer\nTelegram: answered 1m 35s ago",
        "❌ 发送：Telegram 没有响应\nTelegram：1m 35s 前有响应",
    ),
    (
        SenderView(is_telegram=True, waiting=0, answer_age=3_000, sent_age=61_000),
        "Last message: 1m 1s ago\nWaiting to be sent: 0",
        "最近一条消息：1m 1s 前\n待发送：0",
    ),
    (
        SenderView(is_telegram=False, waiting=0),
        "✅ Sending: messages can be sent\nLast message",
        "✅ 发送：正常\n最近一条消息",
    ),
]


@pytest.mark.parametrize(("sender", "english", "chinese"), SENDERS)
def test_what_is_the_matter_with_sending_is_said(
    sender: SenderView, english: str, chinese: str
) -> None:
    assert english in answer(WELL, sender)
    assert chinese in answer(WELL, sender, language="zh")


RECORDINGS = [
    (None, "Recording: off", "录制：未开启"),
    (
        RecordingView("a.zst", 1_250_000),
        "Recording: a.zst, 1.2 MB\nRules",
        "录制：a.zst，1.2 MB\n规则",
    ),
    (
        RecordingView("a.zst", 0, 12, "No space left on device"),
        "0.0 MB\n⚠️ Entries that it lacks: 12\n❌ It cannot be written: No space",
        "0.0 MB\n⚠️ 录制缺失：12 条\n❌ 录制无法写入：No space",
    ),
]


@pytest.mark.parametrize(("recording", "english", "chinese"), RECORDINGS)
def test_how_the_recording_fares_is_said(
    recording: RecordingView | None, english: str, chinese: str
) -> None:
    for language, words in (("en", english), ("zh", chinese)):
        world = FakeWorld()
        world.present = replace(STATUS, recording=recording)
        assert words in said(world.say("/status", language=language))


def test_others_hear_of_the_data_and_not_of_the_program() -> None:
    text = answer(replace(WELL, stale=("SOLUSDT",), problem="", reconnect_age=1), user=GUEST)
    assert text.splitlines()[-1] == "⚠️ Stale: 1 (SOLUSDT)"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_everything_at_once_is_one_message(language: str) -> None:
    names = tuple(f"SYMBOL{number:03}USDT" for number in range(400))
    world = FakeWorld()
    feed = replace(
        WELL, state="waiting", next_connect=1, problem="<b>" * 50, stale=names, by_rest=names,
        gone=names, unanswered=names, reconnect_age=1, reconnect_reason="cannot connect: <html>",
    )  # fmt: skip
    long = "⚠️ <b>Broken</b>\n<pre>" + "a &lt; b " * 200 + "</pre>"
    world.present = replace(
        STATUS, feed=feed, faults=(lambda _: long,) * 20, recording=RecordingView("a<b>.zst")
    )
    [written] = world.say("/status", language=language).replies
    assert units(parse_html(written.text).text) <= 4096
    assert "a<b>.zst" in parse_html(written.text).text


@pytest.mark.parametrize(
    ("second", "lines"),
    [
        (SecondView(), ["Second channel: ready"]),
        (SecondView(in_use=True, copied=3), ["Second channel: in use, 3 copied"]),
        (
            SecondView(failing=(1, 3)),
            [
                "Second channel: ready",
                "❌ Second channel: entry 1, 3 of FALLBACK_URLS fails",
            ],
        ),
    ],
)
def test_the_second_channel_is_shown_to_admins(second: SecondView, lines: list[str]) -> None:
    told = answer(WELL, replace(STATUS.sender, second=second)).splitlines()
    assert [line for line in told if "Second channel" in line] == lines
    guest = answer(WELL, replace(STATUS.sender, second=second), user=GUEST)
    assert "Second channel" not in guest


def test_no_second_channel_is_not_worth_a_line() -> None:
    assert "Second channel" not in answer(WELL)
