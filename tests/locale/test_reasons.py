"""Why the feed was lost, as an English and a Chinese reader are told."""

import ast
from pathlib import Path

import pytest

from bot.locale import translator
from bot.locale.reasons import reason
from bot.market import reconnect
from bot.market.reconnect import refusal
from bot.notify.telling import _out_of_reach
from bot.store.dialect import _WORDS
from bot.store.records import ChatRow

SAID = [
    (refusal(451).words, "交易所拒绝此地区（HTTP 451）"),
    (refusal(403).words, "交易所防火墙拒绝本机 IP（HTTP 403）"),
    (refusal(429, "17").words, "交易所称请求过多（HTTP 429），等待 17 秒"),
    (refusal(418).words, "交易所暂时封禁了本机 IP（HTTP 418），等待 120 秒"),
    (refusal(502).words, "交易所服务故障（HTTP 502）"),
    (refusal(404).words, "服务器没有这个数据流（HTTP 404），请检查 BINANCE_STREAM_URL"),
    (
        "cannot connect: [Errno 111] Connect call failed",
        "无法连接：[Errno 111] Connect call failed",
    ),
    ("cannot connect: a\nb {c}", "无法连接：a\nb {c}"),
    ("the connection is open, but no row came for 8 s", "连接正常，但 8 秒没有收到行情"),
    (
        (
            "the connection is open, but no row came for 8 s; does BINANCE_STREAM_URL end in"
            " /market, and are the symbols' names right?"
        ),
        "连接正常，但 8 秒没有收到行情；BINANCE_STREAM_URL",
    ),
    ("the venue closed the connection (1008 (policy violation))", "交易所关闭了连接（1008"),
    ("the connection broke off", "连接中断"),
    (
        "A message to chat -7 is lost: no certain answer from the Telegram server: cut",
        "发往聊天 -7 的一条消息丢失：Telegram 服务器没有给出确定的答复：cut",
    ),
    (_out_of_reach(ChatRow(7, disabled="blocked")), "无法向聊天 7 发送消息：blocked。其监控"),
]


@pytest.mark.parametrize(("words", "chinese"), SAID)
def test_a_reason_of_the_feed_is_translated_with_its_numbers(words: str, chinese: str) -> None:
    assert reason(words, translator("zh")).startswith(chinese)
    assert reason(words, translator("en")) == words


@pytest.mark.parametrize("words", ["", "something new", "{reason}", "(", "the connection broke"])
def test_what_nobody_translated_stays_english(words: str) -> None:
    assert reason(words, translator("zh")) == words


def problems_of(path: Path) -> list[str]:
    """The sentences that a module makes Problems of, with a number for each thing filled in."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem"
    ]
    return [text for call in calls for text in sentences(call.args[0])]


def sentences(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = node.values
        return ["".join(str(p.value) if isinstance(p, ast.Constant) else "7" for p in parts)]
    return []


FEED = Path(reconnect.__file__).parent


@pytest.mark.parametrize("module", ["reconnect.py", "stream.py"])
def test_whatever_the_feed_says_has_its_chinese(module: str) -> None:
    said = problems_of(FEED / module)
    assert len(said) > 3
    composed = "the venue 7 (HTTP 7); waiting 7 s"  # of either of two phrases: see SAID
    unsaid = [words for words in said if reason(words, translator("zh")) == words]
    assert [words for words in unsaid if words != composed] == []


@pytest.mark.parametrize("words", sorted(set(_WORDS.values())))
def test_whatever_the_database_says_has_its_chinese(words: str) -> None:
    said = reason(
        f"commands cannot be stored: The database /a/b.db {words} (why)", translator("zh")
    )
    assert said.startswith("命令无法保存：数据库 /a/b.db ")
    assert said.endswith("（why）")
