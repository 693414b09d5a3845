"""The venue's REST side on loopback, whose every answer a test lays down."""

import json
from collections import Counter
from typing import Any

from tests.doubles.loopback_server import LoopbackServer, Reply


class VenueRest(LoopbackServer):
    """Contracts and fundings by symbol, and rows as of `now`; `down` is a status for everything."""

    def __init__(self, now: int) -> None:
        super().__init__()
        self.now = now  # ms: serverTime and the rows' time
        self.statuses: dict[str, str] = {}  # exchangeInfo: symbol to status
        self.terms: dict[str, tuple[int, str]] = {}  # fundingInfo: symbol to hours and cap
        self.rows: dict[str, dict[str, Any]] = {}  # premiumIndex: symbol to what is not as usual
        self.behind = 0  # ms by which the rows are older than now
        self.down = 0
        self.refused: set[str] = set()  # names of requests that are answered with 404
        self.asked: Counter[str] = Counter()

    async def reply(self, verb: str, path: str, content_type: str, body: bytes) -> Reply:
        name = path.removeprefix("/fapi/v1/")
        self.asked[name] += 1
        if name in self.refused:
            return Reply(404, b"{}")
        if self.down:
            return Reply(self.down, b"{}")
        answers = {
            "time": self._time,
            "exchangeInfo": self._exchange_info,
            "fundingInfo": self._funding_info,
            "premiumIndex": self._premium_index,
        }
        return Reply(200, json.dumps(answers[name](), ensure_ascii=False).encode())

    def _time(self) -> object:
        return {"serverTime": self.now}

    def _exchange_info(self) -> object:
        return {
            "symbols": [
                {"symbol": symbol, "contractType": "PERPETUAL", "status": status}
                for symbol, status in self.statuses.items()
            ]
        }

    def _funding_info(self) -> object:
        return [
            {
                "symbol": symbol,
                "fundingIntervalHours": hours,
                "adjustedFundingRateCap": cap,
                "adjustedFundingRateFloor": f"-{cap}",
            }
            for symbol, (hours, cap) in self.terms.items()
        ]

    def _premium_index(self) -> object:
        usual = {
            "markPrice": "100",
            "indexPrice": "100",
            "estimatedSettlePrice": "100",
            "lastFundingRate": "0.0001",
            "nextFundingTime": (self.now // 28_800_000 + 1) * 28_800_000,
            "time": self.now - self.behind,
        }
        return [{"symbol": symbol, **usual, **row} for symbol, row in self.rows.items()]
