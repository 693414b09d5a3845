import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rules.expression import Comparison, Condition, Not
from bot.rules.options import LONGEST_NOTE
from bot.rules.parser import parse_condition
from bot.rules.quantity import threshold
from bot.rules.rule import Options, Rule, Severity, Target
from bot.rules.selector import read_selection
from bot.rules.watch_line import (
    MAX_LENGTH,
    WatchLine,
    WatchLineError,
    parse_watch,
    watch_rule,
    watch_text,
)
from tests.rules.build import instants, lasting

GROUPS = {"majors": ["BTCUSDT", "ETHUSDT"]}


def canonical(text: str, timezone: str = "UTC") -> str:
    line = parse_watch(text, timezone=timezone, groups=GROUPS)
    printed = watch_text(line.selection, line.condition, line.options)
    assert parse_watch(printed, groups=GROUPS) == line
    return printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("BTCUSDT rate>0.0005", "BTCUSDT rate > 0.05%"),
        ("btc,eth rate>5bp", "BTC,ETH rate > 0.05%"),
        ("btc , eth，sol  rate>5bp", "BTC,ETH,SOL rate > 0.05%"),
        ("ALL,!*USDC |basis| > 0.5%", "ALL,!*USDC |basis| > 0.5%"),
        ("币安人生USDT rate > 1%", "币安人生USDT rate > 1%"),
        ("NOT rate > 1%", "NOT rate > 1%"),
        (
            "@majors,!BTC |basis|>1% for 30s clear 0.4% severity critical once cooldown 1h",
            "@majors,!BTC |basis| > 1% for 30s clear 0.4% cooldown 1h once severity critical",
        ),
        ('BTC rate>1% until 7d resolved off note "hot"',
         'BTC rate > 1% until 7d resolved off note "hot"'),
        (
            "BTC rate>1% REPEAT 4H KEEP 1m For 90s",
            "BTC rate > 1% for 1m30s keep 1m repeat 4h",
        ),
        (
            "BTC rate>1% and mark>85k clear not rate > 0.5% or mark<80k keep 5s",
            "BTC rate > 1% and mark > 85000 clear not rate > 0.5% or mark < 80000 keep 5s",
        ),
        ("BTC change(mark, 1h)>5% once", "BTC change(mark, 1h) > 5% once"),
        ("BTC mark crosses above 85k cooldown 1h", "BTC mark crosses above 85000 cooldown 1h"),
        ("BTC rate>1% resolved on", "BTC rate > 1% resolved on"),
        ("BTC rate>1% severity INFO", "BTC rate > 1%"),
        ('BTC rate>1% note ""', "BTC rate > 1%"),
        ("BTC rate>1% for 0s", "BTC rate > 1%"),
        ("BTC rate>1% until 2030-01-01", "BTC rate > 1% until 2030-01-01T00:00:00Z"),
        ("BTC rate>1% until 2030-01-01 12:30", "BTC rate > 1% until 2030-01-01T12:30:00Z"),
        ("BTC rate>1% note “watch out” once", 'BTC rate > 1% once note "watch out"'),
        ("BTC rate>1% note „so“", 'BTC rate > 1% note "so"'),
        ("BTC rate>1% note «so»", 'BTC rate > 1% note "so"'),
        ("BTC rate>1% note 「小心」", 'BTC rate > 1% note "小心"'),
        ('BTC rate>1% note "mixed”', 'BTC rate > 1% note "mixed"'),
        ("BTC rate>1% note ‘don’t’", 'BTC rate > 1% note "don’t"'),
        ("BTC rate>1% note 'don't'", 'BTC rate > 1% note "don\'t"'),
        (r'BTC rate>1% note "a \"b\" \\ \c"', r'BTC rate > 1% note "a \"b\" \\ \\c"'),
        ('BTC rate>1% note "once for all until clear"',
         'BTC rate > 1% note "once for all until clear"'),
    ],
)  # fmt: skip
def test_a_line_prints_in_one_canonical_way(text: str, printed: str) -> None:
    assert canonical(text) == printed


def test_a_date_is_one_of_the_zone_of_the_chat() -> None:
    printed = canonical("BTC rate>1% until 2030-01-01", timezone="Asia/Shanghai")
    assert printed == "BTC rate > 1% until 2029-12-31T16:00:00Z"


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("¦", "symbols come first"),
        ("¦rate > 0.05%", "symbols come first"),
        ("¦rate>0.05%", "symbols come first"),
        ("¦|basis| > 1%", "symbols come first"),
        ("¦change(mark, 1h) > 1%", "symbols come first"),
        ("BTCUSDT¦", "expected a field first"),
        ("BTCUSDT ¦once", "expected a field first"),
        ("¦!BTC rate > 1%", "only excludes"),
        ("BTC,¦@nobody rate > 1%", "unknown group '@nobody'; known: @majors"),
        ("BTC,¦$$ rate > 1%", "'$$' is no symbol"),
        ("BTC ¦rat > 1%", "unknown field 'rat'; did you mean rate?"),
        ("BTC rate ¦= 1%", "write > or >=, < or <="),
        ("BTC mark > 85¦,000 once", "write 85000 or 85k"),
        ("BTC rate > ¦0.5 once", "0.5 = 50 %; write 0.5% or 50%"),
        ("BTC (rate > 1%¦ for 30s", "expected a closing bracket, found the end"),
        ("BTC rate > 1% ¦colldown 1h", "unknown option 'colldown'; did you mean cooldown?"),
        ("BTC rate > 0.0005 ¦colldown 1h", "unknown option 'colldown'; did you mean cooldown?"),
        ("BTC rate > 1% ¦fro 30s", "unknown option 'fro'; did you mean for?"),
        ("BTC rate > 1% for 30s ¦severty info", "did you mean severity?"),
        ("BTC rate > 1% once ¦quite", "did you mean quiet?"),
        ("BTC rate > 1% ¦for", "for needs more behind it"),
        ("BTC rate > 1% ¦for once", "for needs more behind it"),
        ("BTC rate > 1% for ¦30", "a time needs a unit: write 30s"),
        ("BTC rate > 1% for 30s ¦for 40s", "for stands here twice"),
        ("BTC rate > 1% once ¦ONCE", "once stands here twice"),
        ("BTC rate > 1% once ¦5", "once stands alone, found '5'"),
        ("BTC rate > 1% severity ¦crit", "did you mean critical?"),
        ("BTC rate > 1% resolved ¦maybe", "expected on or off"),
        ("BTC rate > 1% clear ¦2%", "lies at or below its threshold"),
        ("BTC rate > 1% clear rate < 2¦x", "unknown unit 'x' for a ratio"),
        ("BTC rate > 1% and mark > 1 clear ¦1%", "a bare quantity clears only"),
        ("BTC rate crosses 1% for ¦30s", "takes no for"),
        ("BTC rate > 1% until ¦2030-13-01", "expected a date"),
        ("BTC rate > 1% until ¦0001-01-01", "expected a date"),
        ("BTC rate > 1% until ¦tomorrow", "expected a number"),
        ("BTC rate > 1% note ¦watch", "put the note in quotes"),
        ('BTC rate > 1% note ¦"watch', "no closing quote"),
        ('BTC rate > 1% note "watch" ¦out', "expected an option or the end"),
        (f'BTC rate > 1% note ¦"{"x" * (LONGEST_NOTE + 1)}"', "a note longer than 500"),
        ("BTC¦\0 rate > 1%", "a control character"),
        ("BTC¦\ud800 rate > 1%", "a control character"),
        ("B" * MAX_LENGTH + "¦B", "longer than 3500 characters"),
    ],
)
def test_a_mistake_is_answered_with_its_place(marked: str, message: str) -> None:
    place = marked.index("¦")
    with pytest.raises(WatchLineError) as caught:
        parse_watch(marked.replace("¦", ""), groups=GROUPS)
    assert message in caught.value.message
    assert caught.value.column == place + 1
    assert "example: " in caught.value.message


def test_a_line_that_would_be_too_long_when_printed_is_refused() -> None:
    symbols = ",".join(f"A{number}" for number in range(600))
    with pytest.raises(WatchLineError, match="when written out"):
        parse_watch(f"{symbols} {'rate>1e-20 or ' * 30}rate>1%")


_TEXTS = st.text(max_size=120)
_WORDS = st.lists(
    st.sampled_from(
        ["BTC", "@majors", "!", ",", "rate", ">", "1%", "(", ")", "|", "for", "30s", "clear", "not",
         "once", "until", "2030-01-01", "note", '"', "“", "'", "\\", "severity", "info", "quiet",
         "resolved", "off", "crosses", "and", "5", "=", "\n"]
    ),
    max_size=25,
).map(" ".join)  # fmt: skip


@given(st.one_of(_TEXTS, _WORDS, _TEXTS.map(lambda text: f"BTC rate > 1% {text}")))
def test_any_text_is_a_line_or_a_placed_error(text: str) -> None:
    problem, line = None, None
    try:
        line = parse_watch(text, groups=GROUPS)
    except WatchLineError as error:
        problem = error
    if line is not None:
        printed = watch_text(line.selection, line.condition, line.options)
        assert parse_watch(printed, groups=GROUPS) == line
    if problem is not None:
        assert 1 <= problem.column <= len(text) + 1


_DURATIONS = st.integers(0, 10**9)
_NOTES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t\"'\\“”"), max_size=40
)


@st.composite
def options(draw: st.DrawFn, condition: Condition) -> Options:
    until = draw(st.none() | st.integers(1, 10**13))
    clear, root = None, condition.root
    if not condition.is_instant:
        clear = draw(st.none() | lasting)
        if isinstance(root, Comparison) and draw(st.booleans()):
            moved = draw(st.integers(0, 10**6)) * (-1 if root.operator in (">", ">=") else 1)
            exact = root.threshold.exact + moved
            clear = Condition(Not(Comparison(root.term, root.operator, threshold(exact))))
    return Options(
        hold=0 if condition.is_instant else draw(_DURATIONS),
        clear=clear,
        keep=0 if condition.is_instant else draw(_DURATIONS),
        cooldown=draw(_DURATIONS),
        repeat=draw(_DURATIONS),
        once=draw(st.booleans()),
        until=until,
        lifetime=None if until else draw(st.none() | st.integers(1, 10**9)),
        severity=draw(st.sampled_from(Severity)),
        quiet=draw(st.booleans()),
        resolved=draw(st.sampled_from([None, True, False])),
        note=draw(_NOTES),
    )


@st.composite
def watch_lines(draw: st.DrawFn) -> WatchLine:
    entries = ["BTC", "ETHUSDT", "*USDC", "ALL", "!SOL", "@majors"]
    chosen = draw(st.lists(st.sampled_from(entries), min_size=1, max_size=4, unique=True))
    condition = draw(st.one_of(lasting, instants))
    return WatchLine(
        read_selection([*chosen, "BTCUSDT"], GROUPS), condition, draw(options(condition))
    )


@given(watch_lines())
def test_the_canonical_line_reads_back_to_the_same_watch(line: WatchLine) -> None:
    printed = watch_text(line.selection, line.condition, line.options)
    assert parse_watch(printed, groups=GROUPS) == line


def test_a_watch_is_a_rule_for_one_chat() -> None:
    line = parse_watch("BTC rate > 1% until 1h")
    made = watch_rule("watch:7:3", line, Target(7, 2), 1_000, "#3")
    assert made == Rule(
        "watch:7:3",
        "#3",
        read_selection(["BTC"]),
        parse_condition("rate > 1%"),
        Options(lifetime=3_600_000),
        (Target(7, 2),),
        1_000,
    )
    assert made.ends_at == 3_601_000
