import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.catalog import Catalog
from bot.rules.rule import Severity, Target
from bot.rules.rules_file import RulesFile, RulesFileError, read_rules_file, symbol_problems
from bot.rules.yaml_file import MAX_NODES, Problem
from tests.rules.build import catalog


def read(text: str) -> RulesFile:
    return read_rules_file(text.encode())


def problems(data: bytes) -> tuple[Problem, ...]:
    with pytest.raises(RulesFileError) as caught:
        read_rules_file(data)
    return caught.value.problems


def rules(*lines: str, head: str = "") -> str:
    """A file with its rules in flow style, one a line, from line 3 (plus those of the head) on."""
    return f"version: 1\n{head}rules:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def of_rule(line: str) -> Problem:
    found = problems(rules(line).encode())
    assert len(found) == 1
    return found[0]


CHATS = "chats: {desk: {id: -100, topic: 4, timezone: Asia/Shanghai}, me: {id: 7}}\n"
GOOD = "name: a, symbols: BTC, when: rate > 0.05%"


def test_the_version_may_be_left_out() -> None:
    assert read("rules: []") == read("version: 1\nrules: []")


def test_a_rule_says_what_it_says() -> None:
    found = read(
        rules(
            "name: a, symbols: [ALL, '!*USDC'], when: rate > 0.05%, for: 30s, clear: 0.03%, "
            "keep: 1m, cooldown: 1h30m, repeat: 4h, once: true, until: 7d, severity: critical, "
            "quiet: true, resolved: off, note: hot, to: [desk, 99]",
            head=CHATS,
        )
    )
    (rule,) = found.rules
    assert (rule.id, rule.name, str(rule.selection)) == ("file:a", "a", "ALL,!*USDC")
    assert rule.text == (
        "rate > 0.05% for 30s clear 0.03% keep 1m cooldown 1h30m repeat 4h until 7d "
        "once quiet severity critical resolved off"
    )
    assert rule.options.severity is Severity.CRITICAL
    assert rule.options.note == "hot"
    assert rule.targets == (Target(-100, 4), Target(99))
    assert found.chats["desk"].timezone == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("head", "to", "targets"),
    [
        (CHATS, "", (Target(-100, 4), Target(7))),
        (CHATS, ", to: me", (Target(7),)),
        (CHATS, ", to: [7, me, desk]", (Target(7), Target(-100, 4))),
        (CHATS + "defaults: {to: [me]}\n", "", (Target(7),)),
        (CHATS + "defaults: {to: [me]}\n", ", to: desk", (Target(-100, 4),)),
        ("", "", ()),
        ("", ", to: -5", (Target(-5),)),
    ],
)
def test_who_is_told(head: str, to: str, targets: tuple[Target, ...]) -> None:
    assert read(rules(GOOD + to, head=head)).rules[0].targets == targets


@pytest.mark.parametrize(
    ("defaults", "rule", "text"),
    [
        ("cooldown: 1h", "when: rate > 1%", "rate > 1% cooldown 1h"),
        ("cooldown: 1h", "when: rate > 1%, cooldown: 2h", "rate > 1% cooldown 2h"),
        ("cooldown: 1h", "when: rate > 1%, cooldown: 0s", "rate > 1%"),
        ("until: 7d", "when: rate > 1%, until: 0s", "rate > 1%"),
        ("until: 7d", "when: rate > 1%, until: 2030-01-01", "rate > 1% until 2030-01-01T00:00:00Z"),
        ("for: 5s, keep: 5s, clear: 1%", "when: rate crosses 5%", "rate crosses 5%"),
        ("for: 5s", "when: rate crosses 5%, for: 0s", "rate crosses 5%"),
        ("clear: 0.5%", "when: rate > 1%", "rate > 1% clear 0.5%"),
        ("clear: 0.5%", "when: rate > 0.1%", "rate > 0.1%"),
        ("clear: 0.5%", "when: mark > 5", "mark > 5"),
        ("clear: 0.5%", "when: rate > 1% and mark > 5", "rate > 1% and mark > 5"),
        ("clear: 0.5%", "when: rate > 1%, clear: 0s", "rate > 1%"),
        ("clear: funding < 1m", "when: mark > 5", "mark > 5 clear funding < 1m"),
        ("once: true, quiet: true", "when: mark > 5, once: false", "mark > 5 quiet"),
        ("resolved: off", "when: mark > 5, resolved: on", "mark > 5 resolved on"),
        ("severity: warning", "when: mark > 5, severity: info", "mark > 5"),
    ],
)
def test_defaults_give_way_to_the_rule(defaults: str, rule: str, text: str) -> None:
    found = read(rules(f"name: a, symbols: BTC, {rule}", head=f"defaults: {{{defaults}}}\n"))
    assert found.rules[0].text == text


@pytest.mark.parametrize(
    ("until", "to", "moment"),
    [
        ("2030-01-01", "desk", "2029-12-31T16:00:00Z"),
        ("2030-01-01", "me", "2030-01-01T00:00:00Z"),
        ("2030-01-01T08:30", "desk", "2030-01-01T00:30:00Z"),
        ("2030-01-01T08:30:15+02:00", "desk", "2030-01-01T06:30:15Z"),
        ("20300101T000000Z", "desk", "2030-01-01T00:00:00Z"),
    ],
)
def test_a_date_is_one_of_the_zone_of_the_chat(until: str, to: str, moment: str) -> None:
    rule = read(rules(f"{GOOD}, until: '{until}', to: {to}", head=CHATS)).rules[0]
    assert rule.text == f"rate > 0.05% until {moment}"


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("name: a, symbols: BTC, when: ¦rat > 5%", "unknown field 'rat'; did you mean rate?"),
        ("name: a, symbols: BTC, when: rate ¦= 5%", "write > or >=, < or <="),
        ("name: a, symbols: BTC, when: 'rate ¦= 5%'", "write > or >=, < or <="),
        ('name: a, symbols: BTC, when: "rate ¦= 5%"', "write > or >=, < or <="),
        (r'name: a, symbols: BTC, when: ¦"rate \x3d 5%"', "write > or >=, < or <="),
        ("name: a, symbols: BTC, when: rate crosses ¦5, for: 5s", "5 = 500 %"),
        ("name: a, symbols: BTC, when: rate crosses 5%, for: ¦5s", "takes no for"),
        ("name: a, symbols: BTC, when: rate crosses 5%, keep: ¦5s", "takes no keep"),
        ("name: a, symbols: BTC, when: rate crosses 5%, clear: ¦5%", "takes no clear"),
        ("name: a, symbols: BTC, when: ¦true", "expected a condition, as in rate > 0.05%"),
        ("name: ¦5, symbols: BTC, when: rate > 5%", "expected a name, found the number 5"),
        ("name: ¦'', symbols: BTC, when: rate > 5%", "expected a name of 1 to 100 characters"),
        (r'name: ¦"a\0", symbols: BTC, when: rate > 5%', "a control character"),
        ("name: a, symbols: [BTC, ¦5], when: rate > 5%", "found the number 5; put it in quotes"),
        ("name: a, symbols: ¦[], when: rate > 5%", "no symbols"),
        ("name: a, symbols: ¦['!BTC'], when: rate > 5%", "only excludes"),
        ("name: a, symbols: '¦@x', when: rate > 5%", "unknown group '@x'"),
        ("name: a, symbols: '¦BTC,ETH', when: rate > 5%", "write a list"),
        (f"{GOOD}, ¦colldown: 5m", "unknown key 'colldown'; did you mean cooldown?"),
        (f"{GOOD}, for: ¦30", "a time needs a unit: write 30s, 30m, 30h or 30d"),
        (f"{GOOD}, for: ¦0", "a time needs a unit"),
        (f"{GOOD}, for: ¦-5s", "expected a number, found '-'"),
        (f"{GOOD}, for: ¦99999d", "a duration longer than 3650d"),
        (f"{GOOD}, for: ¦[5s]", "expected a duration, as in 30s or 1h30m, found a list"),
        (f"{GOOD}, for: ¦null", "expected a duration, as in 30s or 1h30m, found nothing"),
        (f"{GOOD}, clear: ¦0.06%", "lies at or below its threshold"),
        (f"{GOOD}, clear: ¦rat < 5%", "unknown field 'rat'"),
        (f"{GOOD}, clear: ¦rate crosses 5%", "a crossing is an instant and cannot clear"),
        (f"{GOOD}, clear: 5¦k", "unknown unit 'k' for a ratio"),
        (f"{GOOD}, once: ¦yes", "expected true or false, found 'yes'"),
        (f"{GOOD}, quiet: ¦1", "expected true or false, found the number 1"),
        (f"{GOOD}, resolved: ¦maybe", "expected on or off, found 'maybe'"),
        (f"{GOOD}, severity: ¦warn", "did you mean warning?"),
        (f"{GOOD}, until: ¦2030-13-01", "expected a date, as in 2026-12-31"),
        (f"{GOOD}, until: ¦2030", "a time needs a unit"),
        (f"{GOOD}, note: ¦5", "expected a text, found the number 5"),
        (f"{GOOD}, note: {'x' * 500}¦x", "a note longer than 500 characters"),
        (f"{GOOD}, to: ¦[]", "found an empty list"),
        (f"{GOOD}, to: ¦nobody", "unknown chat 'nobody'"),
        (f"{GOOD}, to: ¦1.5", "expected the name of a chat or a chat id"),
        (f"{GOOD}, to: ¦0", "expected the name of a chat or a chat id"),
        (f"{GOOD}, ¦name: b", "duplicate key 'name'; it stands in line 3 too"),
    ],
)
def test_a_mistake_in_a_rule_is_told_at_its_place(marked: str, message: str) -> None:
    found = of_rule(marked.replace("¦", ""))
    assert message in found.message
    assert (found.line, found.column) == (3, len("  - {") + marked.index("¦") + 1)


def test_a_missing_key_is_told_where_the_rule_begins() -> None:
    assert str(of_rule("name: a, symbols: BTC")) == "3:5: the rule has no when"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the file is empty; it begins with version: 1"),
        ("# nothing\n", 1, 1, "the file is empty"),
        ("5", 1, 1, "expected the file to be a mapping"),
        ("version: 1", 1, 1, "the file has no rules"),
        ("version: 2\nrules: []", 1, 10, "expected version 1, found the number 2"),
        ("version: '1'\nrules: []", 1, 10, "expected version 1, found '1'"),
        ("version: [1]\nrules: []", 1, 10, "expected version 1, found a list"),
        ("version: 1\nrules: {}", 2, 8, "expected a list of rules, found a mapping"),
        ("version: 1\nrules: [5]", 2, 9, "expected the rule to be a mapping"),
        ("version: 1\nrule: []\nrules: []", 2, 1, "unknown key 'rule'; did you mean rules?"),
        ("version: 1\nrules: []\n<<: {}", 3, 1, "unknown key '<<'"),
        ("version: 1\nrules: []\n[a]: 5", 3, 1, "expected a word as key, found a list"),
        ("version: 1\nrules: []\nrules: []", 3, 1, "duplicate key 'rules'; it stands in line 2"),
        ("version: 1\nrules: &a []", 2, 8, "an anchor is not taken here"),
        ("version: 1\nrules: *a", 2, 8, "an alias is not taken here"),
        ("version: 1\nrules: !!seq []", 2, 8, "a tag is not taken here"),
        ("version: 1\nrules: []\n---\nversion: 1", 3, 1, "a second document"),
        ("%YAML 1.1\n---\nversion: 1\nrules: []", 1, 1, "a YAML directive"),
        ("version: 1\nrules:\n\t- a", 3, 1, "indent with spaces, not with a tab"),
        ("version: 1\nrules: [@a]", 2, 9, "a text with @ goes into quotes"),
        ("version: 1\nrules: [", 2, 9, "no YAML"),
        ("version: 1\nchats: [a]\nrules: []", 2, 8, "expected chats to be a mapping of names"),
        ("version: 1\nchats: {a: {}}\nrules: []", 2, 12, "chat 'a' has no id"),
        ("version: 1\nchats: {5: {id: 5}}\nrules: []", 2, 9, "expected a name among chats"),
        ("version: 1\nchats: {a: {id: x}}\nrules: []", 2, 17, "expected a chat id"),
        ("version: 1\nchats: {a: {id: 99999999999999999999}}\nrules: []", 2, 17, "a chat id"),
        ("version: 1\nchats: {a: {id: 5, topic: -1}}\nrules: []", 2, 27, "a topic's number"),
        ("version: 1\nchats: {a: {id: 5, language: fr}}\nrules: []", 2, 30, "known: en, zh"),
        (
            "version: 1\nchats: {a: {id: 5, timezone: Asia/Shangai}}\nrules: []",
            2, 30, "unknown time zone 'Asia/Shangai'; did you mean Asia/Shanghai?",
        ),
        ("version: 1\ngroups: {a: [B C]}\nrules: []", 2, 14, "'B C' is no symbol"),
        ("version: 1\ngroups: {a: ['@a']}\nrules: []", 2, 15, "a group that contains itself"),
        ("version: 1\ngroups: {a: 5}\nrules: []", 2, 13, "expected a symbol, a glob, @group"),
        ("version: 1\ndefaults: {for: 5}\nrules: []", 2, 17, "a time needs a unit"),
        ("version: 1\ndefaults: {clear: 5x}\nrules: []", 2, 20, "unknown unit 'x'"),
        ("version: 1\ndefaults: {clear: rat < 1%}\nrules: []", 2, 19, "unknown field 'rat'"),
        ("version: 1\ndefaults: {when: x}\nrules: []", 2, 12, "unknown key 'when'"),
    ],
)  # fmt: skip
def test_a_mistake_around_the_rules_has_line_and_column(
    text: str, line: int, column: int, message: str
) -> None:
    (found,) = problems(text.encode())
    assert message in found.message
    assert (found.line, found.column) == (line, column)


def test_every_problem_is_told_at_once_in_the_order_of_places() -> None:
    found = problems(
        b"""\
version: 2
groups: {bad: ["@bad"]}
defaults: {cooldown: 30}
rules:
  - {name: x, symbols: "@bad", when: rate > 5}
  - name: x
    symbols: ALL
    when: |
      mark > 85,000
    whenn: 5
  - symbols: [A B, "@none"]
    when: ratio > 5%
    for: soon
  - &again {name: z}
  - *again
"""
    )
    assert [(problem.line, problem.column) for problem in found] == [
        (1, 10), (2, 17), (3, 22), (5, 45), (6, 11), (8, 11), (10, 5), (11, 5), (11, 15), (11, 21),
        (12, 11), (13, 10), (14, 5), (14, 5), (14, 5), (15, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("0.0003", "rate > 0.05% clear 0.03%"),
        ("3e-4", "rate > 0.05% clear 0.03%"),
        ("0.00030000000000000001", "rate > 0.05% clear 0.030000000000000001%"),
        ("0", "rate > 0.05% clear 0%"),
        ("-0.01%", "rate > 0.05% clear -0.01%"),
        ("0.05%", "rate > 0.05% clear 0.05%"),
        ("not rate > 3bp", "rate > 0.05% clear 0.03%"),
        ("rate < 3bp or funding < 1m", "rate > 0.05% clear rate < 0.03% or funding < 1m"),
    ],
)
def test_a_number_is_read_from_its_digits(written: str, text: str) -> None:
    assert read(rules(f"{GOOD}, clear: {written}")).rules[0].text == text


@pytest.mark.parametrize(
    ("when", "clear", "fine"),
    [
        ("rate > 0.05%", "0.06%", False),
        ("rate >= 0.05%", "0.06%", False),
        ("rate < -0.05%", "-0.06%", False),
        ("rate <= -0.05%", "-0.06%", False),
        ("rate < -0.05%", "-0.04%", True),
        ("funding < 10m", "20m", True),
        ("funding < 10m", "5m", False),
        ("(rate > 0.05%)", "0.03%", True),
        ("not rate > 0.05%", "0.03%", False),
        ("rate > 0.05% and mark > 1", "0.03%", False),
        ("not rate > 0.05%", "rate > 0.07%", True),
    ],
)
def test_a_clear_is_never_stricter_than_its_threshold(when: str, clear: str, fine: bool) -> None:
    line = f"name: a, symbols: BTC, when: {when}, clear: {clear}"
    if fine:
        assert read(rules(line)).rules[0].options.clear is not None
    else:
        assert of_rule(line).line == 3


@pytest.mark.parametrize(
    "name", ["NO", "on", "yes", "1:30", "2026-12-31", "1_000", "0b1", "=", "~a"]
)
def test_words_of_the_old_yaml_are_plain_text(name: str) -> None:
    assert read(rules(f"name: {name}, symbols: BTC, when: rate > 1%")).rules[0].name == name


@pytest.mark.parametrize("chat_id", ["010", "0x0A", "0o12", "+10"])
def test_whole_numbers_are_those_of_yaml_1_2(chat_id: str) -> None:
    assert read(rules(GOOD, head=f"chats: {{a: {{id: {chat_id}}}}}\n")).rules[0].targets == (
        Target(10),
    )


def test_a_byte_order_mark_and_other_line_ends_change_no_place() -> None:
    data = b"\xef\xbb\xbf" + rules("name: a, symbols: BTC, when: rat > 5%").encode()
    assert problems(data)[0] == problems(data.replace(b"\n", b"\r\n"))[0]
    assert (problems(data)[0].line, problems(data)[0].column) == (3, 35)


def test_columns_count_characters() -> None:
    line = "name: 热的, symbols: 币安人生USDT, when: rat > 5%"
    assert of_rule(line).column == len("  - {") + line.index("rat") + 1


def test_the_same_problem_names_its_place_when_the_file_is_no_text() -> None:
    (found,) = problems("version: 1\n# ü ".encode() + b"\xff\nrules: []")
    assert (found.line, found.column, found.message) == (2, 5, "no UTF-8 text: byte 0xff")


NESTED_RULES = "version: 1\nrules:\n" + "".join(
    f"  - {{name: r{number}, symbols: [A{number}], when: rat > {number}%}}\n"
    for number in range(12_000)
)
HOSTILE = {
    "nested brackets": b"[" * 100_000,
    "nested brackets closed": b"[" * 50_000 + b"]" * 50_000,
    "nested braces": b"{a: " * 25_000,
    "nested dashes": b"- " * 50_000,
    "nested questions": b"? " * 50_000,
    "alias bomb": b"a: &a [x, x]\n"
    + b"".join(b"%c: &%c [*%c, *%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
    "zero bytes": b"\0" * 1_000,
    "a zero byte": b"version: 1\nrules: []\n#\0",
    "no UTF-8": bytes(range(256)) * 100,
    "UTF-16": "version: 1\nrules: []".encode("utf-16"),
    "tabs": b"\t" * 100_000,
    "byte order marks": b"\xef\xbb\xbf" * 100,
    "too large": b"#" * (1024 * 1024 + 1),
    "junk": (b"x!@#$%^&*()_+{}[]|\\:;\"'<>,.?/~`\n" * 32_768)[: 1024 * 1024],
    "one long word": b"x" * (1024 * 1024),
    "one long text": b'"' + b"\\x41" * 262_000 + b'"',
    "one long key": b"x" * 1_000_000 + b": 1",
    "many items": b"[" + b"a," * 500_000 + b"]",
    "many keys": b"".join(b"k%d: 1\n" % number for number in range(90_000)),
    "many lines": b"a\n" * 500_000,
    "many documents": b"---\n" * 100_000,
    "long number": b"version: 1" + b"0" * 1_000_000,
    "many bad rules": NESTED_RULES.encode(),
    "many unknown zones": b"version: 1\nrules: []\nchats:\n"
    + b"".join(b"  c%d: {id: 1, timezone: Asia/Xyz%d}\n" % (n, n) for n in range(9_000)),
    "many unknown chats": b"version: 1\nchats:\n"
    + b"".join(b"  chat%d: {id: 1}\n" % n for n in range(9_000))
    + b"rules:\n"
    + b"".join(b"  - {to: [chut%d, chet%d]}\n" % (n, n) for n in range(3_000)),
    "chained groups": b"version: 1\nrules: []\ngroups:\n  g0: [A]\n"
    + b"".join(b"  g%d: ['@g%d', A%d]\n" % (n, n - 1, n) for n in range(1, 10_000)),
    "circular groups": b"version: 1\nrules: []\ngroups:\n"
    + b"".join(b"  g%d: ['@g%d', '@g%d']\n" % (n, n + 1, n // 2) for n in range(900)),
    "deep conditions": rules(
        *(f"name: {n}, symbols: A, when: {'(' * 1_900}" for n in range(100))
    ).encode(),
    "surrogate": b'version: "\\ud800"\nrules: []',
    "bad dates and tags": b"[2026-13-45, !!int x, !!float '', !!timestamp x, !<tag> y]",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_end_in_placed_problems_in_time(data: bytes) -> None:
    begun = time.process_time()
    found = problems(data)
    # Ten times what is promised; `benchmarks/hostile_input.py` measures it.
    assert time.process_time() - begun < 10
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
        st.lists(
            st.sampled_from(
                ["version: 1\n", "rules:\n", "- ", "name: ", "a", "when: ", "rate > 1%", "\n",
                 "  ", "{", "}", "[", "]", ", ", ": ", "&a ", "*a", "!t ", "'", '"', "|\n",
                 "chats: ", "groups: ", "symbols: ", "defaults: ", "clear: ", "5", "null", "to: ",
                 "#", "---\n"]
            ),
            max_size=40,
        ).map(lambda parts: "".join(parts).encode()),
    )
)  # fmt: skip
def test_any_bytes_are_a_file_or_placed_problems(data: bytes) -> None:
    lines = data.count(b"\n") + data.count(b"\r") + 1
    try:
        read_rules_file(data)
    except RulesFileError as error:
        found = error.problems
    else:
        found = ()
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in found)


def test_as_many_values_as_are_allowed_are_read() -> None:
    names = ", ".join(["A"] * (MAX_NODES // 2))
    with pytest.raises(RulesFileError) as caught:
        read(f"version: 1\nrules: []\nsymbols: [{names}]")
    assert [problem.message.split(";")[0] for problem in caught.value.problems] == [
        "unknown key 'symbols'"
    ]


TRADED = catalog("BTCUSDT", "ETHUSDT", "BTCUSDC", delisted=("LUNAUSDT",))


def test_names_that_do_not_trade_are_told_with_their_places() -> None:
    found = read(
        rules(
            "name: a, symbols: [BTC, BTCUST, '!LUNAUSDT', '*X', ALL, '@g'], when: rate > 1%",
            head="groups: {g: [ETHUSD]}\n",
        )
    )
    told = symbol_problems(found, TRADED)
    assert [str(problem) for problem in told] == [
        "2:14: unknown symbol 'ETHUSD'; did you mean ETHUSDT?",
        "4:30: unknown symbol 'BTCUST'; did you mean BTCUSDT?",
        "4:39: unknown symbol 'LUNAUSDT'",
    ]
    assert symbol_problems(found, Catalog()) == []
