"""Anything at all, to whatever reads what others wrote: only the documented errors, in time."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bot.market.binance import BrokenFrameError, decode_frame
from bot.rules.parser import ConditionError, parse_condition
from bot.rules.rules_file import RulesFileError, read_rules_file
from bot.rules.watch_line import WatchLineError, parse_watch
from tests.market.rows import frame, row, wrapped
from tests.rules.build import conditions

LIMIT = 1.0  # s of CPU time for one input; waiting for a busy machine is not ours
Report = Callable[[str, object], None]


def _words(text: str) -> list[str]:
    return text.split()


WORDS = _words(
    """rate rate8h apr basis mark index settle funding interval cap change( min( max( avg( abs( | (
    ) > >= < <= ≥ ＜ = crosses above below and or not AND 1 0 0.05% 5bp -1e-4 +.5 1e999 1k 10m
    1h30m 0s 24h 1m , % ％ ９ for clear keep cooldown repeat once until severity quiet resolved # .
    note on off info 30s 2026-12-31 "x “ ' BTC BTCUSDT ALL !*USDC @majors 币安人生USDT perp"""
)
WORDS += ["\x00", "\u2028", "\ud800", " "]
KEYS = _words(
    """version chats groups defaults rules name symbols when for clear keep cooldown repeat once
    until severity quiet resolved note to id topic language timezone"""
)
YAML = _words(
    """version:1 rules: - name: when: symbols: to: [ ] { } , : &a *a <<: ! !!int !!binary | > ' " #
    --- ... %YAML ? null ~ 1e-4 NO 0x1F 2026-13-45 \\x41 \\ud800 @majors ALL"""
)
YAML += ['"rate > 1%"', "\n", "\n  ", "\t", " "]

pieces = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 20), st.binary(max_size=8)))


def damaged(whole: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """With pieces cut out and others put in."""
    for place, length, piece in edits:
        at = place % (len(whole) + 1)
        whole = whole[:at] + piece + whole[at + length :]
    return whole


def many(part: bytes, times: int, end: bytes) -> bytes:
    return (part * times)[:100_000] + end


def many_rules(line: str, times: int) -> bytes:
    return b"version: 1\nrules:\n" + many(f"- {line}\n".encode("utf-8", "replace"), times, b"")


EXAMPLE = (Path(__file__).parents[2] / "rules.example.yaml").read_bytes()
FRAMES = [frame(row()), wrapped([row(), row(s="ETHUSDT", r="")], "!markPrice@arr@1s"), b"[]"]
LINES = ["BTC rate > 0.05% for 30s clear 0.03% keep 1m", 'ALL,!*USDC |basis| > 0.5% note "x"']

RULES = ["{name: a, symbols: BTC, when: rate > 1%}", "{name: a, when: (((, to: [x, y]}", "a"]

numbers = st.integers() | st.floats() | st.sampled_from(["", "0", "-1", "1e5", "0x1", "١", "1_0"])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
row_like = st.dictionaries(st.sampled_from([*"eEspiPrT", "ap", "st", "id", "data", "x"]), values)
repeated = st.builds(
    many, st.binary(min_size=1, max_size=12), st.integers(1, 30_000), st.binary(max_size=4)
)
wires = st.one_of(
    st.binary(max_size=300),
    repeated,
    st.builds(damaged, st.sampled_from(FRAMES), pieces),
    row_like.map(frame),
    st.lists(row_like, max_size=4).map(lambda rows: wrapped(rows, "x")),
    st.builds(many, st.sampled_from([b"[", b'{"a":', b'"', b"1", b"[1,"]), st.integers(1, 50_000),
              st.binary(max_size=4)),
)  # fmt: skip
soup = st.lists(st.sampled_from(WORDS), max_size=60)
long_text = st.builds(
    lambda part, times: (part * times)[:20_000],
    st.text(min_size=1, max_size=12),
    st.integers(1, 5_000),
)
texts = st.one_of(
    st.text(max_size=200),
    long_text,
    soup.map(" ".join),
    soup.map("".join),
    conditions.map(lambda condition: condition.text),
    st.builds(
        lambda line, edits: damaged(line.encode(), edits).decode("utf-8", "surrogateescape"),
        st.sampled_from(LINES),
        pieces,
    ),
)
nested_yaml = st.recursive(
    st.sampled_from([*WORDS, *YAML]) | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)
files = st.one_of(
    st.binary(max_size=300),
    repeated,
    st.builds(damaged, st.just(EXAMPLE), pieces),
    st.builds(many_rules, st.sampled_from(RULES), st.integers(0, 3_000)),
    st.builds(many_rules, texts, st.integers(0, 3_000)),
    st.dictionaries(st.sampled_from(KEYS), nested_yaml).map(
        lambda made: json.dumps(made, ensure_ascii=False).encode("utf-8", "replace")
    ),
    st.lists(st.sampled_from([*YAML, *KEYS, *WORDS]), max_size=60).map(
        lambda parts: " ".join(parts).encode("utf-8", "surrogatepass")
    ),
    st.builds(many, st.sampled_from([b"[", b"{a: ", b"- ", b"a: &a [*a]\n", b"? ", b"'", b"#\n"]),
              st.integers(1, 50_000), st.binary(max_size=4)),
)  # fmt: skip
watch_lines = texts | st.builds(
    "{} {}".format, st.sampled_from(["BTC", "ALL,!X", "@majors"]), texts
)

READERS: dict[str, tuple[Callable[..., object], type[Exception], st.SearchStrategy[object]]] = {
    "decode_frame": (decode_frame, BrokenFrameError, wires),
    "read_rules_file": (read_rules_file, RulesFileError, files),
    "parse_condition": (parse_condition, ConditionError, texts),
    "parse_watch": (parse_watch, WatchLineError, watch_lines),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "examples",
    [150, pytest.param(5_000, marks=[pytest.mark.torture, pytest.mark.timeout(3_600)])],
)
def test_anything_is_read_or_refused_in_time(
    name: str, examples: int, record_property: Report
) -> None:
    read, documented, anything = READERS[name]
    counts: Counter[str] = Counter()
    slowest = 0.0

    @settings(max_examples=examples, derandomize=examples < 1_000, phases=tuple(Phase))
    @given(anything)
    def fuzz(given_one: object) -> None:
        nonlocal slowest
        outcome, took = attempt(read, documented, given_one)
        if took > LIMIT:  # a busy machine makes CPU time longer as well, but not three times over
            took = min(took, *(attempt(read, documented, given_one)[1] for _ in range(2)))
        counts[outcome] += 1
        slowest = max(slowest, took)
        assert took <= LIMIT

    fuzz()
    record_property(
        "summary",
        f"{name}: {counts['read']} inputs read, {counts['refused']} refused, 0 other errors, "
        f"the slowest in {slowest:.3f} s",
    )
    assert counts["read"]
    assert counts["refused"]


def attempt(
    read: Callable[..., object], documented: type[Exception], given_one: object
) -> tuple[str, float]:
    """What became of an input, and the CPU seconds that it took."""
    outcome = "read"
    begun = time.process_time()
    try:
        read(given_one)
    except documented:
        outcome = "refused"
    return outcome, time.process_time() - begun
