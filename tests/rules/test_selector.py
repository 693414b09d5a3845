import pytest

from bot.market.catalog import Catalog
from bot.rules.selector import MAX_ENTRIES, SelectorError, open_groups, read_selection
from tests.rules.build import catalog

GROUPS = {"majors": ["BTCUSDT", "ETHUSDT"], "most": ["@majors", "SOLUSDT", "!ETHUSDT"]}
UNKNOWN = Catalog()
KNOWN = catalog(
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDC", "ETHBTC", "BTCUSDT_260327",
    tradfi=("TSLAUSDT",), delisted=("LUNAUSDT",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "symbol", "without", "with_catalog"),
    [
        ("BTCUSDT", "BTCUSDT", True, True),
        ("btcusdt", "BTCUSDT", True, True),
        ("BTC", "BTCUSDT", True, True),
        ("BTC", "BTC", True, False),
        ("BTC", "BTCUSDC", False, False),
        ("BTCUSDC", "BTCUSDCUSDT", False, False),
        ("ETHBTC", "ETHBTC", True, True),
        ("ETHBTC", "ETHBTCUSDT", False, False),
        ("LUNAUSDT", "LUNAUSDT", True, False),
        ("*USDC", "BTCUSDC", True, True),
        ("*USDC", "BTCUSDT", False, False),
        ("?THUSDT", "ETHUSDT", True, True),
        ("[BE]T[CH]USDT", "ETHUSDT", True, True),
        ("LUNA*", "LUNAUSDT", True, False),
        ("@majors", "ETHUSDT", True, True),
        ("@most", "ETHUSDT", False, False),
        ("@most", "BTCUSDT", True, True),
        ("ALL", "BTCUSDT", True, True),
        ("ALL", "TSLAUSDT", True, True),
        ("all", "BTCUSDT", True, True),
        ("ALL", "LUNAUSDT", True, False),
        ("perp", "BTCUSDT", True, True),
        ("perp", "TSLAUSDT", True, False),
        ("tradfi", "TSLAUSDT", False, True),
        ("tradfi", "BTCUSDT", False, False),
        ("quarterly", "BTCUSDT_260327", True, True),
        ("quarterly", "BTCUSDT", False, False),
        ("ALL,!*USDC", "BTCUSDC", False, False),
        ("!*USDC,ALL", "BTCUSDC", False, False),
        ("!*USDC,ALL", "BTCUSDT", True, True),
        ("ALL,!BTC", "BTCUSDT", False, False),
        ("ALL,!@majors", "ETHUSDT", False, False),
        ("ALL,!@most", "ETHUSDT", False, False),
    ],
)
def test_what_a_list_selects(entries: str, symbol: str, without: bool, with_catalog: bool) -> None:
    selection = read_selection(entries.split(","), GROUPS)
    assert selection.selects(symbol, UNKNOWN, funded=True) is without
    assert selection.selects(symbol, KNOWN, funded=True) is with_catalog


@pytest.mark.parametrize("entry", ["ALL", "perp"])
def test_without_a_catalog_classes_follow_the_last_row(entry: str) -> None:
    selection = read_selection([entry])
    assert not selection.selects("BTCUSDT", UNKNOWN, funded=False)
    assert selection.selects("BTCUSDT", KNOWN, funded=False)


@pytest.mark.parametrize(
    ("entries", "position", "message"),
    [
        ([], 0, "no symbols"),
        (["!BTCUSDT"], 0, "only excludes"),
        (["BTCUSDT", "A B"], 1, "'A B' is no symbol, glob, @group or class"),
        (["BTCUSDT,ETHUSDT"], 0, "write a list, as in [BTCUSDT, ETHUSDT]"),
        (["ALL", "@major"], 1, "unknown group '@major'; did you mean @majors?"),
        (["@circle"], 0, "leads to a group that contains itself"),
        ([""], 0, "is no symbol"),
        (["A" * 200], 0, "is no symbol"),
        ([f"A{number}" for number in range(MAX_ENTRIES + 1)], MAX_ENTRIES, "more than 1000"),
    ],
)
def test_a_wrong_list_is_refused_at_its_entry(
    entries: list[str], position: int, message: str
) -> None:
    with pytest.raises(SelectorError) as caught:
        read_selection(
            entries, GROUPS | {"circle": ["@circle"]} if "@c" in str(entries) else GROUPS
        )
    assert message in caught.value.message
    assert caught.value.entry == position


def test_groups_are_opened_inside_one_another() -> None:
    opened, problems = open_groups({"c": ["!@b", "ALL"], "b": ["@a", "x"], "a": ["y", "!z"]})
    assert opened == {"a": ("Y", "!Z"), "b": ("Y", "!Z", "X"), "c": ("!Y", "!X", "ALL")}
    assert problems == []


def test_groups_that_contain_themselves_leave_the_others_usable() -> None:
    opened, problems = open_groups({"a": ["@b"], "b": ["@a", "x"], "c": ["y"], "d": ["@a"]})
    assert opened == {"a": (), "b": (), "c": ("Y",), "d": ()}
    assert {(problem.group, problem.position) for problem in problems} == {
        ("a", 0), ("b", 0), ("d", 0),
    }  # fmt: skip


def test_groups_that_multiply_stay_small() -> None:
    groups = {"g0": ["BTCUSDT"]}
    groups |= {f"g{level}": [f"@g{level - 1}"] * 10 for level in range(1, 50)}
    opened, problems = open_groups(groups)
    assert opened["g49"] == ("BTCUSDT",)
    assert problems == []


def test_unknown_names_are_those_that_do_not_trade() -> None:
    selection = read_selection(["BTC", "BTCUST", "LUNAUSDT", "*X", "ALL"])
    assert selection.unknown_names(KNOWN) == ["BTCUST", "LUNAUSDT"]
    assert selection.unknown_names(UNKNOWN) == []


def test_a_selection_prints_as_it_is_typed_with_names_in_capitals() -> None:
    assert str(read_selection([" btc ", "!@majors"], GROUPS)) == "BTC,!@majors"
