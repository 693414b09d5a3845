"""The catalog: what trades, intervals, caps, and saved files of it."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.catalog import Catalog, Contract, Funding, catalog_text, read_catalog_file
from tests.market.rows import recorded


def contract(symbol: str, status: str = "TRADING", kind: str = "PERPETUAL") -> dict[str, Any]:
    return {"symbol": symbol, "contractType": kind, "status": status, "unknown": [1]}


def funding(symbol: str, **changes: Any) -> dict[str, Any]:
    return {"symbol": symbol, "fundingIntervalHours": 8, "updateTime": None, **changes}


EXCHANGE = {"symbols": [contract("BTCUSDT"), contract("OMGUSDT", "SETTLING")]}


def saved(body: object) -> bytes:
    return json.dumps(body).encode()


def test_without_exchange_info_nobody_knows_what_trades() -> None:
    catalog = Catalog().with_funding_info([funding("BTCUSDT")])
    assert catalog.trades("BTCUSDT") is None
    assert catalog.nearest("BTC") == []


def test_only_the_status_trading_trades() -> None:
    catalog = Catalog().with_exchange_info(EXCHANGE)
    assert [catalog.trades(name) for name in ("BTCUSDT", "OMGUSDT", "NONE")] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("BTC", "BTCUSDT"), ("btcusd", "BTCUSDT"), ("BTCUSTD", "BTCUSDT"), ("ETHH", "ETHUSDT"),
    ],
)  # fmt: skip
def test_a_mistyped_name_finds_its_neighbours_that_trade(name: str, nearest: str) -> None:
    rows = [contract("BTCUSDT"), contract("ETHUSDT"), contract("BTCOLD", "SETTLING")]
    assert Catalog().with_exchange_info({"symbols": rows}).nearest(name)[0] == nearest


@pytest.mark.parametrize("body", [None, [], 5, {}, {"symbols": None}, {"symbols": {}}])
def test_an_exchange_info_of_another_shape_is_refused(body: object) -> None:
    with pytest.raises(ValueError, match="expected an exchangeInfo object"):
        Catalog().with_exchange_info(body)


def test_rows_of_another_shape_are_passed_over() -> None:
    rows = [None, 5, {}, {"symbol": 7}, {"symbol": "A"}]
    catalog = Catalog().with_exchange_info({"symbols": rows}).with_funding_info(rows)
    assert catalog.contracts == {"A": Contract("A", "", "")}
    assert catalog.funding == {"A": Funding("A", 0, None, None)}


@pytest.mark.parametrize(
    ("changes", "hours", "cap", "floor"),
    [
        ({"adjustedFundingRateCap": "0.00300", "adjustedFundingRateFloor": "-0.003"}, 8,
         Fraction(3, 1000), Fraction(-3, 1000)),
        ({"adjustedFundingRateCap": 0.02, "adjustedFundingRateFloor": None}, 8,
         Fraction(2, 100), None),
        ({"adjustedFundingRateCap": "", "fundingIntervalHours": 4}, 4, None, None),
        ({"fundingIntervalHours": "4"}, 0, None, None),
        ({"fundingIntervalHours": 0}, 0, None, None),
        ({"fundingIntervalHours": True}, 0, None, None),
        ({"adjustedFundingRateCap": "0", "fundingIntervalHours": None}, 0, Fraction(0), None),
        ({"fundingIntervalHours": 10**30, "adjustedFundingRateCap": "1e99"}, 0, None, None),
        ({"adjustedFundingRateCap": "0." + "1" * 50}, 8, None, None),
    ],
)  # fmt: skip
def test_interval_cap_and_floor_are_exact_or_unknown(
    changes: dict[str, Any], hours: int, cap: Fraction | None, floor: Fraction | None
) -> None:
    row = Catalog().with_funding_info([funding("A", **changes)]).funding["A"]
    assert row.interval_hours == hours
    assert (row.cap and row.cap.exact) == cap
    assert (row.floor and row.floor.exact) == floor


@pytest.mark.parametrize(
    ("body", "trades", "intervals"),
    [
        (EXCHANGE, True, set()),
        ([funding("BTCUSDT")], None, {"BTCUSDT"}),
        ({"exchangeInfo": EXCHANGE, "fundingInfo": [funding("A")]}, True, {"A"}),
        ({"fundingInfo": [funding("A")]}, None, {"A"}),
        ([], None, set()),
    ],
)
def test_a_saved_catalog_has_three_shapes(
    body: object, trades: bool | None, intervals: set[str]
) -> None:
    catalog = read_catalog_file(saved(body))
    assert catalog.trades("BTCUSDT") is trades
    assert set(catalog.funding) == intervals


def test_several_files_make_one_catalog_and_later_rows_win() -> None:
    files: list[object] = [
        EXCHANGE,
        [funding("A", fundingIntervalHours=8), funding("B")],
        {
            "exchangeInfo": {"symbols": [contract("OMGUSDT")]},
            "fundingInfo": [funding("A", fundingIntervalHours=1)],
        },
    ]
    catalog = Catalog()
    for body in files:
        catalog = read_catalog_file(saved(body), catalog)
    assert (catalog.trades("BTCUSDT"), catalog.trades("OMGUSDT")) == (True, True)
    assert {name: row.interval_hours for name, row in catalog.funding.items()} == {"A": 1, "B": 8}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["\xff"]', "not JSON"),
        (b"5", "expected a fundingInfo array, an exchangeInfo object"),
        (b"{}", "expected a fundingInfo array, an exchangeInfo object"),
        (b'{"symbols": 5}', "expected an exchangeInfo object"),
        (b'{"exchangeInfo": 5}', "expected an exchangeInfo object"),
        (b'{"fundingInfo": {}}', "expected a fundingInfo list"),
        (b'[{"symbol": "A", "markPrice": "1"}]', "expected fundingInfo rows"),
        (b"[1, 2]", "expected fundingInfo rows"),
    ],
)
def test_a_file_that_is_no_catalog_says_what_was_expected(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_catalog_file(body)


def test_the_recorded_answers_become_a_catalog() -> None:
    answers = json.loads(recorded("rest-responses-mixed.json").read_bytes())
    for answer in answers["/fapi/v1/fundingInfo"]:
        catalog = Catalog().with_funding_info(answer["data"])
        assert len(catalog.funding) == len(answer["data"])
        assert all(
            row.cap is not None and row.floor is not None for row in catalog.funding.values()
        )
    for answer in answers["/fapi/v1/exchangeInfo"]:
        contracts = Catalog().with_exchange_info(answer["data"]).contracts
        assert contracts is not None
        assert contracts["BTCUSDT"].contract_type == "PERPETUAL"


NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
LIMITS = st.one_of(
    st.none(),
    st.decimals(allow_nan=False, allow_infinity=False, places=8).map(str),
    st.floats(allow_nan=False),
    st.from_regex(r"-?\d{1,12}(\.\d{1,12})?([eE]-?\d{1,2})?", fullmatch=True),
)
FUNDINGS = st.fixed_dictionaries(
    {
        "symbol": NAMES,
        "fundingIntervalHours": st.one_of(st.integers(), st.text(max_size=2)),
        "adjustedFundingRateCap": LIMITS,
        "adjustedFundingRateFloor": LIMITS,
    }
)
CONTRACTS = st.fixed_dictionaries({"symbol": NAMES, "contractType": NAMES, "status": NAMES})


@given(st.one_of(st.none(), st.lists(CONTRACTS)), st.lists(FUNDINGS))
def test_a_catalog_that_was_kept_is_exactly_the_one_that_was_taken(
    contracts: list[dict[str, Any]] | None, fundings: list[dict[str, Any]]
) -> None:
    taken = Catalog().with_funding_info(fundings)
    if contracts is not None:
        taken = taken.with_exchange_info({"symbols": contracts})
    kept = read_catalog_file(catalog_text(taken).encode())
    assert kept.contracts == taken.contracts
    assert [_exact(row) for row in kept.funding.values()] == [
        _exact(row) for row in taken.funding.values()
    ]
    assert catalog_text(kept) == catalog_text(taken)


def _exact(row: Funding) -> tuple[object, ...]:
    limits = (limit and limit.exact for limit in (row.cap, row.floor))
    return row.symbol, row.interval_hours, *limits
