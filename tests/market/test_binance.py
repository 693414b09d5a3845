"""Frames in, ticks out: every quirk that was seen on the wire, and any bytes at all."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.binance import (
    Answer,
    BrokenFrameError,
    array_stream,
    decode_frame,
    premium_ticks,
    stream_request,
    symbol_stream,
)
from tests.market.rows import E0, T0, frame, recorded, row, tick, wrapped

WHOLE = tick(
    mark="85840.40234633",
    index="85882.44043478",
    settle="85863.42568007",
    rate="0.00005016",
    next_funding_time=T0,
)


@pytest.mark.parametrize(
    ("body", "stream"),
    [
        (frame(row()), ""),
        (frame([row()]), ""),
        (wrapped(row(), "btcusdt@markPrice@1s"), "btcusdt@markPrice@1s"),
        (wrapped([row()]), "!markPrice@arr@1s"),
        (b' \r\n { "stream" : "x" , "data" : ' + frame(row()) + b" } \n", "x"),
    ],
)
def test_every_shape_of_a_frame_gives_its_row(body: bytes, stream: str) -> None:
    decoded = decode_frame(body)
    assert decoded.ticks == (WHOLE,)
    assert decoded.stream == stream
    assert not decoded.skipped


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"unknown": {"deep": [1, "x", None]}}, "mark", "85840.40234633"),
        ({"ap": ..., "st": ...}, "margin", 1),
        ({"p": ...}, "mark", ""),
        ({"i": ...}, "index", ""),
        ({"P": ...}, "settle", ""),
        ({"r": ...}, "rate", ""),
        ({"r": ""}, "rate", ""),
        ({"r": None}, "rate", ""),
        ({"r": True}, "rate", ""),
        ({"p": []}, "mark", ""),
        ({"p": {"a": 1}}, "mark", ""),
        ({"T": ...}, "next_funding_time", 0),
        ({"T": 0, "r": "0.00000000"}, "next_funding_time", 0),
        ({"T": None}, "next_funding_time", 0),
        ({"T": -1}, "next_funding_time", 0),
        ({"T": "1790179200000"}, "next_funding_time", 0),
        ({"T": 1790179200000.0}, "next_funding_time", 0),
        ({"T": True}, "next_funding_time", 0),
        ({"T": 10**400}, "next_funding_time", 0),
        ({"T": T0 + 1}, "next_funding_time", T0 + 1),
        ({"E": 10**20}, "event_time", 10**20),
        ({"st": "2"}, "margin", 1),
        ({"st": None}, "margin", 1),
        ({"s": "币安人生USDT"}, "symbol", "币安人生USDT"),
        ({"s": "BTCUSDT_261225"}, "symbol", "BTCUSDT_261225"),
    ],
)
def test_a_field_is_taken_as_sent_or_counts_as_missing(
    changes: dict[str, Any], field: str, expected: object, many: bool
) -> None:
    body = row(**changes)
    decoded = decode_frame(frame([row(), body]) if many else frame(body))
    assert getattr(decoded.ticks[-1], field) == expected
    assert len(decoded.ticks) == 1 + many
    assert not decoded.skipped


@pytest.mark.parametrize("literal", ["0.00010000", "-1.50", "5", "1E-4", "1e400", "9" * 5000])
def test_a_json_number_keeps_its_literal(literal: str) -> None:
    body = frame(row()).replace(b'"0.00005016"', literal.encode())
    assert decode_frame(body).ticks[0].rate == literal
    assert decode_frame(b"[" + body + b"]").ticks[0].rate == literal


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (row(e="kline"), "foreign"),
        (row(e=...), "foreign"),
        (row(e=None), "foreign"),
        (row(e=["markPriceUpdate"]), "foreign"),
        (17, "foreign"),
        (None, "foreign"),
        ("markPriceUpdate", "foreign"),
        ([[]], "foreign"),
        (row(st=2, s="BTCUSD_PERP"), "coin-m"),
        (row(st=2, s="BTCUSD_PERP", p=1), "coin-m"),
        (row(E=0), "incomplete"),
        (row(E=-1), "incomplete"),
        (row(E=1790161527002.0), "incomplete"),
        (row(E=True), "incomplete"),
        (row(E="1790161527002"), "incomplete"),
        (row(E=None), "incomplete"),
        (row(E=...), "incomplete"),
        (row(E=10**400), "incomplete"),
        (row(s=""), "incomplete"),
        (row(s=...), "incomplete"),
        (row(s=5), "incomplete"),
    ],
)
def test_rows_are_judged_singly_and_counted_by_reason(body: object, reason: str) -> None:
    among = decode_frame(frame([row(s="A"), body, row(s="B")]))
    assert [one.symbol for one in among.ticks] == ["A", "B"]
    assert among.skipped == {reason: 1}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (row(e="kline"), "foreign"),
        (row(st=2), "coin-m"),
        (row(E=0), "incomplete"),
        (row(E="x"), "incomplete"),
        (17, "foreign"),
        ("text", "foreign"),
        (None, "foreign"),
        ({}, "foreign"),
        ({"stream": "x"}, "foreign"),
        ({"data": row()}, "foreign"),
        ({"stream": None, "data": row()}, "foreign"),
        ({"stream": "x", "data": None}, "foreign"),
        ({"stream": "x", "data": "text"}, "foreign"),
        ({"stream": "x", "data": {"e": "kline"}}, "foreign"),
    ],
)
def test_a_frame_without_a_tick_says_why(body: object, reason: str) -> None:
    decoded = decode_frame(frame(body))
    assert decoded.ticks == ()
    assert decoded.skipped == {reason: 1}
    assert decoded.answer is None


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"result": None, "id": 1}, Answer(1)),
        ({"result": ["btcusdt@markPrice@1s"], "id": 3}, Answer(3)),
        ({"code": 2, "msg": "Invalid request"}, Answer(None, "Invalid request (code 2)")),
        (
            {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 9},
            Answer(9, "Too many subscriptions (code 4)"),
        ),
        ({"error": {}, "id": "x"}, Answer(None, "unknown error (code None)")),
        ({"result": None, "id": True}, Answer(None)),
    ],
)
def test_the_venues_answers_are_told_from_rows(body: object, answer: Answer) -> None:
    decoded = decode_frame(frame(body))
    assert decoded.answer == answer
    assert decoded.ticks == ()
    assert not decoded.skipped


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"nul",
        b"{",
        b"[1,",
        frame(row())[:-1],
        frame(row()) + b" x",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"e":"markPriceUpdate","E":5,"s":"A","x":' + b"[" * 200_000,
        b'{"e":"markPriceUpdate","E":5,"s":"A\xff"}',
        b'{"e":"markPriceUpdate","E":5,"s":"A","unknown":"\xff"}',
        b'{"e":"markPriceUpdate","E":5,"s":"A","p":NaN}',
        b'{"e":"markPriceUpdate","E":5,"s":"A","p":01}',
        b"\x00\x01\x02",
        gzip.compress(b"{}", mtime=0),
    ],
)
def test_what_is_no_json_is_a_broken_frame(body: bytes) -> None:
    with pytest.raises(BrokenFrameError):
        decode_frame(body)
    with pytest.raises(BrokenFrameError):
        premium_ticks(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
any_rows = st.fixed_dictionaries(
    {},
    optional={
        key: json_values | st.sampled_from(["markPriceUpdate", "0.1", E0, 2, 1])
        for key in ("e", "E", "s", "p", "P", "i", "r", "T", "st", "data", "stream", "id", "error")
    },
)


@given(st.binary() | st.one_of(any_rows, st.lists(any_rows), json_values).map(frame))
def test_any_bytes_give_a_frame_or_a_broken_one(body: bytes) -> None:
    try:
        decoded = decode_frame(body)
    except BrokenFrameError:
        return
    for one in decoded.ticks:
        assert one.symbol
        assert one.event_time > 0
        assert one.next_funding_time >= 0
        assert isinstance(one.rate, str)


@settings(max_examples=50)
@given(st.lists(any_rows, max_size=4))
def test_a_row_is_judged_alike_alone_and_among_others(rows: list[dict[str, Any]]) -> None:
    rows = [
        body
        for body in rows
        if not body.keys() & {"stream", "data", "id", "error"} and "NaN" not in json.dumps(body)
    ]
    try:
        alone = [one for body in rows for one in decode_frame(frame(body)).ticks]
        among = list(decode_frame(frame(rows)).ticks)
    except BrokenFrameError:  # infinities and lone surrogates, which json.dumps lets through
        return
    assert alone == among


def test_the_recorded_session_of_2023_is_accepted_whole() -> None:
    lines = recorded("btcusdt-markprice-1s-2023-04-05.txt").read_bytes().splitlines()
    frames = [decode_frame(line.split(b" ", 1)[1]) for line in lines]
    assert len(frames) == 514
    assert all(len(decoded.ticks) == 1 and not decoded.skipped for decoded in frames)
    assert len({decoded.ticks[0].next_funding_time for decoded in frames}) == 2


def test_the_recorded_single_frames_are_accepted_but_for_coin_margined_ones() -> None:
    lines = recorded("single-frames-2019-2026.jsonl").read_bytes().splitlines()
    coin_margined = 0
    for line in lines:
        body = json.loads(line)
        body = body.get("data", body) if isinstance(body, dict) else body
        sent = body if isinstance(body, list) else [body]
        kept = [one for one in sent if one.get("st") != 2]
        coin_margined += len(sent) - len(kept)
        decoded = decode_frame(line)
        assert decoded.skipped["coin-m"] == len(sent) - len(kept)
        for one, source in zip(decoded.ticks, kept, strict=True):
            assert (one.symbol, one.event_time) == (source["s"], source["E"])
            assert one.index == source.get("i", "")
            assert one.settle == source.get("P", "")
            assert one.rate == source.get("r", "")
            assert one.next_funding_time == source.get("T", 0)
    assert coin_margined > 0


def test_the_recorded_premium_index_becomes_ticks() -> None:
    body = recorded("premiumindex-all-2025-06-17.json").read_bytes()
    ticks = premium_ticks(body)
    rows = json.loads(body)
    assert len(ticks) == len(rows) == 521
    for one, source in zip(ticks, rows, strict=True):
        assert one.symbol == source["symbol"]
        assert one.rate == source["lastFundingRate"]
        assert one.settle == source["estimatedSettlePrice"]
        assert one.next_funding_time == source["nextFundingTime"]


def test_a_premium_index_is_an_object_or_an_array_and_its_bad_rows_are_passed_over() -> None:
    good = {"symbol": "BTCUSDT", "markPrice": 1.50, "lastFundingRate": "", "time": E0}
    expected = tick(mark="1.5")
    assert premium_ticks(frame(good)) == (expected,)
    bad = [None, 5, {}, {"symbol": "A"}, {"symbol": "", "time": 1}, {"symbol": "A", "time": "1"}]
    assert premium_ticks(frame([*bad, good])) == (expected,)


@pytest.mark.parametrize(
    ("symbol", "every_second", "expected"),
    [
        ("BTCUSDT", True, "btcusdt@markPrice@1s"),
        ("BTCUSDT_261225", False, "btcusdt_261225@markPrice"),
        ("人生K线USDT", True, "人生k线usdt@markPrice@1s"),
    ],
)
def test_stream_names_are_the_venues(symbol: str, every_second: bool, expected: str) -> None:
    assert symbol_stream(symbol, every_second=every_second) == expected
    assert array_stream(every_second=every_second) in ("!markPrice@arr", "!markPrice@arr@1s")
    assert json.loads(stream_request("SUBSCRIBE", [expected], 7)) == {
        "method": "SUBSCRIBE",
        "params": [expected],
        "id": 7,
    }


@pytest.mark.parametrize(
    ("body", "leaving"),
    [
        ({"e": "serverShutdown", "E": E0}, True),
        ({"e": "serverShutdown", "E": E0, "s": "BTCUSDT"}, True),
        ({"e": "serverShutdown"}, True),
        ({"e": "aggTrade", "E": E0}, False),
        (row(), False),
        ({"e": ["serverShutdown"]}, False),
    ],
)
def test_the_venues_notice_that_it_closes_is_recognized(
    body: dict[str, Any], leaving: bool
) -> None:
    for sent in (frame(body), wrapped(body)):
        decoded = decode_frame(sent)
        assert decoded.leaving is leaving
        assert sum(decoded.skipped.values()) + len(decoded.ticks) == 1
