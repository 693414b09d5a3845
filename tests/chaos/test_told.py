"""What is read from messages, as the program writes them."""

from decimal import Decimal

import pytest

from tests.chaos.told import BACK, DOUBT, FIRED, RESOLVED, UNKNOWN, alerts, notices
from tests.doubles.telegram import Message


def message(text: str) -> Message:
    return Message(1, 7, None, text, text, [], False, None, 5.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "🔔 BTCUSDT +0.2001 % per 8 h = 219.1 % APR\nrate > 0.1%\nRule x",
            [("BTCUSDT", FIRED, "0.002001")],
        ),
        (
            "✅ 币安人生USDT over after 9s · peak +0.2001 %\nNow: -0.0101 % per 4 h\nRule x",
            [("币安人生USDT", RESOLVED, "-0.000101")],
        ),
        ("✅ BTCUSDT over after 9s · peak +0.2001 %\nNow: 0.0000 %", [("BTCUSDT", RESOLVED, "0")]),
        ("✅ BTCUSDT over after 9s\nNow: rate unknown", [("BTCUSDT", RESOLVED, "-1")]),
        (
            "✅ BTCUSDT over after 9s · peak +0.2001 %\nNow: +0.0101 %\n\n🔔 XRPUSDT +0.2001 %",
            [("BTCUSDT", RESOLVED, "0.000101"), ("XRPUSDT", FIRED, "0.002001")],
        ),
        (  # a table has the strongest first: here in the order in which they happened
            "🔔 3 alerts\n▲ BTCUSDT   +0.2002 %\n✓ BTCUSDT   +0.0101 %\n▲ BTCUSDT   +0.2001 %",
            [
                ("BTCUSDT", FIRED, "0.002001"),
                ("BTCUSDT", RESOLVED, "0.000101"),
                ("BTCUSDT", FIRED, "0.002002"),
            ],
        ),
        ("⏰ ETHUSDT now pays every 1 h (was 8 h).", []),
    ],
)
def test_alerts_are_read(text: str, found: list[tuple[str, str, str]]) -> None:
    told = alerts([message(text)])
    assert sorted((one.symbol, one.kind) for one in told) == sorted(one[:2] for one in found)
    assert [(one.symbol, one.kind, one.value) for one in told if one.symbol == "BTCUSDT"] == [
        (symbol, kind, Decimal(value)) for symbol, kind, value in found if symbol == "BTCUSDT"
    ]
    assert Decimal(-1) == UNKNOWN


def test_notices_about_the_feed_are_read() -> None:
    texts = (
        "⚠️ The feed is silent: no new row for 15s",
        "✅ The feed is back after 21s.",
        "✅ Rows",
    )
    assert [one.kind for one in notices(map(message, texts))] == [DOUBT, BACK]
