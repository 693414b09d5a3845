"""The catalog: which contracts trade, and what their funding looks like.

"Trades" is known from exchangeInfo alone; intervals and caps come from fundingInfo, which lists
adjusted symbols (a missing one pays every 8 h unless its own steps say otherwise).
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bot.market.number import Value, decimal_text, parse_number

PERPETUAL = "PERPETUAL"
TRADFI = "TRADIFI_PERPETUAL"  # the venue's spelling
_INTERVAL = "fundingIntervalHours"
_MOST_HOURS = 24 * 365
_LONGEST_LIMIT = 40  # characters of a cap; a longer text says nothing sensible


@dataclass(frozen=True, slots=True)
class Contract:
    """One row of exchangeInfo.symbols; enumerations stay open texts."""

    symbol: str
    contract_type: str
    status: str

    @property
    def trades(self) -> bool:
        return self.status == "TRADING"


@dataclass(frozen=True, slots=True)
class Funding:
    """One row of fundingInfo: the interval in hours (0: not said), cap and floor as fractions."""

    symbol: str
    interval_hours: int
    cap: Value | None
    floor: Value | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """exchangeInfo and fundingInfo as last taken; either may be absent.

    `contracts` is None while exchangeInfo has not been seen: then nobody knows what trades.
    """

    contracts: Mapping[str, Contract] | None = None
    funding: Mapping[str, Funding] = field(default_factory=dict)

    def trades(self, symbol: str) -> bool | None:
        """Whether a symbol trades; None where exchangeInfo is not known."""
        if self.contracts is None:
            return None
        contract = self.contracts.get(symbol)
        return contract is not None and contract.trades

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """The trading symbols whose names are nearest to a mistyped one."""
        if self.contracts is None:
            return []
        names = sorted(symbol for symbol, contract in self.contracts.items() if contract.trades)
        wanted = name.upper()
        begins = [symbol for symbol in names if symbol.startswith(wanted)]
        close = difflib.get_close_matches(wanted, names, n=count, cutoff=0.6)
        close += difflib.get_close_matches(f"{wanted}USDT", names, n=count, cutoff=0.75)
        return list(dict.fromkeys(begins[:count] + close))[:count]

    def with_exchange_info(self, body: Any) -> "Catalog":
        """The catalog with the contracts of a GET /fapi/v1/exchangeInfo answer.

        Raises:
            ValueError: the answer has no list of symbols.
        """
        rows = body.get("symbols") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise ValueError(  # noqa: TRY004 - what is wrong is the file, not a caller's type
                'expected an exchangeInfo object with a list under "symbols"'
            )
        contracts = {
            row["symbol"]: Contract(
                row["symbol"], str(row.get("contractType", "")), str(row.get("status", ""))
            )
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("symbol"), str)
        }
        return Catalog(contracts, self.funding)

    def with_funding_info(self, body: Any) -> "Catalog":
        """The catalog with the rows of a GET /fapi/v1/fundingInfo answer.

        Raises:
            ValueError: the answer is not a list.
        """
        if not isinstance(body, list):
            raise ValueError("expected a fundingInfo list")  # noqa: TRY004 - as above
        rows = (_funding(row) for row in body if isinstance(row, dict))
        return Catalog(self.contracts, {row.symbol: row for row in rows if row})


def read_catalog_file(body: bytes, previous: Catalog | None = None) -> Catalog:
    """A saved catalog, laid over a previous one (several files make one catalog).

    The file is a fundingInfo array, an exchangeInfo object, or one object with both under the keys
    `fundingInfo` and `exchangeInfo`. A later file's rows win, symbol by symbol.

    Raises:
        ValueError: the file is not JSON, or none of the three.
    """
    before = previous or Catalog()
    try:
        saved = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if isinstance(saved, list):
        if saved and not any(isinstance(row, dict) and _INTERVAL in row for row in saved):
            raise ValueError(f'expected fundingInfo rows: none of the array has "{_INTERVAL}"')
        return _over(before, Catalog().with_funding_info(saved))
    if not isinstance(saved, dict) or not saved.keys() & {"symbols", "fundingInfo", "exchangeInfo"}:
        raise ValueError(
            'expected a fundingInfo array, an exchangeInfo object, or an object with "fundingInfo"'
            ' and "exchangeInfo"'
        )
    taken = Catalog().with_exchange_info(saved) if "symbols" in saved else Catalog()
    if "exchangeInfo" in saved:
        taken = taken.with_exchange_info(saved["exchangeInfo"])
    if "fundingInfo" in saved:
        taken = taken.with_funding_info(saved["fundingInfo"])
    return _over(before, taken)


def catalog_text(catalog: Catalog) -> str:
    """The catalog in the venue's own shapes, as `read_catalog_file` reads it."""
    body: dict[str, object] = {
        "fundingInfo": [
            {
                "symbol": row.symbol,
                "fundingIntervalHours": row.interval_hours,
                "adjustedFundingRateCap": _number(row.cap),
                "adjustedFundingRateFloor": _number(row.floor),
            }
            for row in catalog.funding.values()
        ]
    }
    if catalog.contracts is not None:
        body["exchangeInfo"] = {
            "symbols": [
                {"symbol": row.symbol, "contractType": row.contract_type, "status": row.status}
                for row in catalog.contracts.values()
            ]
        }
    return msgspec.json.encode(body).decode()


def _over(before: Catalog, after: Catalog) -> Catalog:
    contracts = before.contracts
    if after.contracts is not None:
        contracts = {**(before.contracts or {}), **after.contracts}
    return Catalog(contracts, {**before.funding, **after.funding})


def _funding(row: dict[str, Any]) -> Funding | None:
    symbol = row.get("symbol")
    if not isinstance(symbol, str):
        return None
    hours = row.get(_INTERVAL)
    return Funding(
        symbol,
        hours if type(hours) is int and 0 < hours <= _MOST_HOURS else 0,
        _limit(row.get("adjustedFundingRateCap")),
        _limit(row.get("adjustedFundingRateFloor")),
    )


def _limit(raw: object) -> Value | None:
    """A cap or a floor: a number from a JSON number or text, no larger than 1,000,000 %."""
    text = str(raw)
    value = parse_number(text) if len(text) <= _LONGEST_LIMIT else None
    sane = value is not None and (value.approx == 0 or 1e-20 < abs(value.approx) <= 1e4)
    return value if sane else None


def _number(value: Value | None) -> str | None:
    return None if value is None else decimal_text(value.exact)
