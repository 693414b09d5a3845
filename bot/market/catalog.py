"""The catalog: which contracts trade, and what their funding looks like.

"Trades" is known from exchangeInfo alone; intervals and caps come from fundingInfo, which lists
adjusted symbols (a missing one pays every 8 h unless its own steps say otherwise).
"""

import difflib
from dataclasses import dataclass, field
from types import MappingProxyType
from collections.abc import Mapping
from typing import Any

from bot.market.number import Value, parse_number

PERPETUAL = "PERPETUAL"
TRADFI = "TRADIFI_PERPETUAL"  # the venue's spelling


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
    funding: Mapping[str, Funding] = field(default_factory=lambda: MappingProxyType({}))

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
            raise ValueError('expected an exchangeInfo object with a list under "symbols"')
        contracts = {
            row["symbol"]: Contract(
                row["symbol"], str(row.get("contractType", "")), str(row.get("status", ""))
            )
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("symbol"), str)
        }
        return Catalog(MappingProxyType(contracts), self.funding)

    def with_funding_info(self, body: Any) -> "Catalog":
        """The catalog with the rows of a GET /fapi/v1/fundingInfo answer.

        Raises:
            ValueError: the answer is not a list.
        """
        if not isinstance(body, list):
            raise ValueError("expected a fundingInfo list")
        rows = (_funding(row) for row in body if isinstance(row, dict))
        return Catalog(self.contracts, MappingProxyType({row.symbol: row for row in rows if row}))


def _funding(row: dict[str, Any]) -> Funding | None:
    symbol = row.get("symbol")
    if not isinstance(symbol, str):
        return None
    hours = row.get("fundingIntervalHours")
    return Funding(
        symbol,
        hours if type(hours) is int and hours > 0 else 0,
        parse_number(str(row.get("adjustedFundingRateCap", ""))),
        parse_number(str(row.get("adjustedFundingRateFloor", ""))),
    )
