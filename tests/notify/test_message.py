import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.alerts.event import Event, Snapshot
from bot.alerts.lifecycle import Kind
from bot.notify.item import Item, Reader
from bot.notify.markup import plain_text
from bot.notify.message import plain, write
from bot.notify.table import WIDTH, strongest_first, write_more
from bot.rules.rule import Severity
from tests.doubles.telegram_html import parse_html, utf16_length
from tests.notify.events import AT, HOUR, T, event, item, snapshot

READER = Reader()


def text(made: Event, reader: Reader = READER, late: int = 0, doubt: str = "") -> str:
    return parse_html(write([Item(1, made, late, doubt)], reader).text).text


def test_a_fired_message_says_symbol_rate_condition_market_and_time_to_funding() -> None:
    assert text(event()).splitlines() == [
        "🔔 BTCUSDT +0.0612 % per 8 h = 67.0 % APR",
        "rate > 0.05%",
        "mark 28,156.4141 · index 28,150 · basis +0.0228 %",
        "Funding in 2h 17m (16:00 UTC)",
        "Rule hot-longs",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"severity": Severity.WARNING}, "⚠️ BTCUSDT"),
        ({"severity": Severity.CRITICAL}, "🚨 BTCUSDT"),
        ({"already": True}, "Rule hot-longs · already true when the rule started"),
        ({"note": "hedge <now> & here"}, "📝 hedge <now> & here"),
        ({"snapshot": snapshot(next_funding_time=AT + 2 * HOUR)}, "Funding in 2h 0m (15:43 UTC)"),
        (
            {"headline": "rate8h", "snapshot": snapshot(rate=0.0001, rate8h=0.0008, interval=HOUR)},
            "+0.0100 % per 1 h = 67.0 % APR · rate8h +0.0800 %",
        ),
        (
            {"headline": "|basis|", "value": 0.0052, "snapshot": snapshot(basis=-0.0052)},
            "BTCUSDT basis -0.5200 %",
        ),
        ({"headline": "|rate|", "value": 0.0012}, "BTCUSDT +0.0612 % per 8 h = 67.0 % APR"),
        ({"headline": "|rate|", "kind": Kind.RESOLVED, "peak": 0.0012}, "peak 0.1200 %"),
        ({"headline": "mark", "value": 28156.5}, "BTCUSDT mark 28,156.50"),
        ({"headline": "change(mark, 1h)", "value": -0.031}, "change(mark, 1h) -3.1000 %"),
        ({"headline": "funding", "value": 899_000.0}, "BTCUSDT funding in 14m 59s"),
        ({"headline": "cap", "value": 0.81}, "BTCUSDT cap 81.0 %"),
        ({"headline": "basis", "value": None}, "BTCUSDT basis unknown"),
        ({"headline": "mark", "value": 1.0}, "Rate +0.0612 % per 8 h = 67.0 % APR"),
        ({"kind": Kind.REMINDED, "since": AT - 4 * HOUR}, "🔁 BTCUSDT"),
        ({"kind": Kind.REMINDED, "since": AT - 4 * HOUR}, "still on, for 4h"),
        ({"kind": Kind.RESOLVED, "since": AT - HOUR, "peak": 0.0009}, "✅ BTCUSDT over after 1h"),
        ({"kind": Kind.RESOLVED, "peak": 0.0009}, "peak +0.0900 %"),
        ({"kind": Kind.RESOLVED, "already": True}, "Rule hot-longs"),
    ],
)
def test_what_a_message_says(changes: dict[str, Any], expected: str) -> None:
    assert expected in text(event(**changes))


def test_a_resolved_message_does_not_say_that_it_was_already_true() -> None:
    assert "already" not in text(event(kind=Kind.RESOLVED, already=True))


@pytest.mark.parametrize(
    ("missing", "empty", "line"),
    [
        ("rate", None, "Rate unknown"),
        ("interval", None, "Rate +0.0612 %"),
        ("apr", None, "Rate +0.0612 %"),
        ("mark", "", "index 28,150 · basis +0.0228 %"),
        ("index", "", "mark 28,156.4141 · basis +0.0228 %"),
        ("basis", None, "mark 28,156.4141 · index 28,150"),
    ],
)
def test_an_unknown_value_is_said_or_left_out_but_never_zero(
    missing: str, empty: object, line: str
) -> None:
    made = event(headline="settle", value=None, snapshot=snapshot(**{missing: empty}))
    assert line in text(made).splitlines()


def test_a_contract_without_funding_says_nothing_of_it() -> None:
    written = text(event(headline="mark", value=2.0, snapshot=Snapshot(mark="2.0")))
    assert "unding" not in written
    assert "ate" not in written.splitlines()[2]


@pytest.mark.parametrize(
    ("late", "expected", "absent"),
    [
        (12 * 60_000, ["⏱ 12m late", "Funding in 2h 5m (16:00 UTC)"], "2h 17m"),
        (59_000, ["Funding in 2h 17m"], "late"),
        (3 * HOUR, ["⏱ 3h late", "Funding was at 16:00 UTC"], "Funding in"),
    ],
)
def test_a_late_message_says_how_late_and_counts_down_from_now(
    late: int, expected: list[str], absent: str
) -> None:
    written = text(event(), late=late)
    assert all(one in written for one in expected)
    assert absent not in written


def test_a_possible_repeat_shows_its_id() -> None:
    assert "♻️ Possible repeat #F3K9" in text(event(), doubt="F3K9")


def test_a_reader_gets_language_and_zone() -> None:
    written = text(event(already=True), Reader("zh-hans", "Asia/Shanghai"))
    assert "+0.0612 % 每 8 h = 年化 67.0 %" in written
    assert "距结算 2h 17m（00:00 CST）" in written
    assert "规则启动时已成立" in written


def test_everything_inserted_is_escaped() -> None:
    hostile = event("<b>X", rule="a<i>&", note="</pre><script>", condition="rate > 1% & <x>")
    written = text(hostile)
    assert all(one in written for one in ("<b>X", "a<i>&", "</pre><script>", "& <x>"))


def test_plain_text_shows_the_same_without_markup() -> None:
    written = write([Item(1, event(note="<&>"))], READER)
    assert plain(written).text == parse_html(written.text).text
    assert plain(written).plain
    assert plain(written).buttons == written.buttons


def test_up_to_three_are_written_in_full_and_four_as_a_table() -> None:
    three = write([item(n) for n in range(3)], READER).text
    assert three.count("Funding in 2h 17m") == 3
    four = write([item(n) for n in range(4)], READER).text
    assert "<pre>" in four
    assert "Funding in" not in four


def test_a_table_holds_the_strongest_20_and_a_button_for_the_rest() -> None:
    items = [item(n, snapshot=snapshot(apr=n / 100)) for n in range(1, 38)]
    written = write(items, READER)
    shown = parse_html(written.text).text
    assert "37 alerts: ▲ 37 on" in shown
    assert "+17 more" in shown
    assert "S37USDT" in shown
    assert "S18USDT" in shown
    assert "S17USDT" not in shown
    assert [button.data for line in written.buttons for button in line] == ["more:17", "mute:3600"]
    assert "Show 17 more" in written.buttons[0][0].text


def test_severity_goes_before_strength() -> None:
    calm = item(1, snapshot=snapshot(apr=9.0))
    urgent = item(2, severity=Severity.CRITICAL, snapshot=snapshot(apr=0.1))
    unknown = item(3, snapshot=snapshot(apr=None))
    assert strongest_first([unknown, calm, urgent]) == [urgent, calm, unknown]


def test_every_alert_can_be_read_in_the_table_or_behind_its_buttons() -> None:
    items = [item(n, snapshot=snapshot(apr=n / 100)) for n in range(1, 901)]
    written, seen, presses = write(items, READER), "", 0
    while True:
        assert utf16_length(parse_html(written.text).text) <= 4096
        seen += parse_html(written.text).text + "\n"
        data = [button.data for line in written.buttons for button in line]
        more = [one for one in data if one.startswith("more:")]
        if not more:
            break
        presses += 1
        written = write_more(items, int(more[0].removeprefix("more:")), READER)
    for n in range(1, 901):
        assert len(re.findall(rf"\bS{n}USDT\b", seen)) == 1
    assert presses == 9


def test_a_row_that_is_not_in_the_message_shows_it_from_the_start() -> None:
    assert "1–4 of 4 alerts" in write_more([item(n) for n in range(4)], 99, READER).text


def test_repeats_are_marked_in_their_rows() -> None:
    items = [item(1), *(msgspec.structs.replace(item(n), doubt="F3K9") for n in range(2, 6))]
    shown = parse_html(write(items, READER).text).text
    assert shown.count("▲?") == 4
    assert "Rows with ? are possible repeats #F3K9" in shown


@pytest.mark.parametrize(
    "symbol", ["A", "1000000MOGUSDT_261225_VERYLONG", "币安人生USDT", "🦄USDT"]
)
def test_a_table_is_never_wider_than_a_phone(symbol: str) -> None:
    items = [Item(n, event(symbol, value=value)) for n, value in enumerate((0.0006, -1e-9, None))]
    items.append(Item(9, event(symbol, headline="mark", value=123456789.123456)))
    table = re.search(r"<pre>(.*)</pre>", write(items, READER).text, re.DOTALL)
    assert table is not None
    for line in plain_text(table.group(1)).splitlines():
        wide = len(re.findall(r"[\u4e00-\u9fff\U0001f000-\U0001ffff]", line))
        assert len(line) + wide <= WIDTH


@pytest.mark.parametrize("quiet", [True, False])
def test_a_message_is_silent_only_where_all_of_it_is_quiet(quiet: bool) -> None:
    written = write([Item(1, event(quiet=True)), Item(2, event(quiet=quiet))], READER)
    assert written.silent is quiet


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            event,
            st.text(max_size=40),
            rule=st.text(max_size=60),
            note=st.text(max_size=300),
            kind=st.sampled_from(Kind),
            value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            peak=st.none() | st.floats(-1e9, 1e9),
            headline=st.sampled_from(["rate", "|basis|", "max(mark, 1h)", "funding", "odd thing"]),
            already=st.booleans(),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["en", "zh"]),
)
def test_any_alerts_make_valid_html(events: list[Event], language: str) -> None:
    items = [Item(n, one, late=n * 40_000, doubt="ABCD" * (n % 2)) for n, one in enumerate(events)]
    parse_html(write(items, Reader(language, "Asia/Shanghai")).text)


def test_the_time_to_funding_is_the_venues_own(  # whatever the local clock says
) -> None:
    assert "Funding in 0s (16:00 UTC)" in text(event(at=T))
