"""What REST requests cost, and when the venue has had enough of them.

Limits as documented: weight 2400 a UTC minute per address; fundingInfo and fundingRate share 500
requests in 5 minutes and report no weight. Refused requests cost as well (seen 2026-10).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

MINUTE = 60_000  # ms
WEIGHT_LIMIT = 2400  # a UTC minute
FUNDING_LIMIT = 500  # requests of fundingInfo and fundingRate in 5 minutes
FUNDING_SPAN = 5 * MINUTE
PREMIUM_INDEX = "/fapi/v1/premiumIndex"
FUNDING_PATHS = ("/fapi/v1/fundingInfo", "/fapi/v1/fundingRate")


class RefusedError(Exception):
    """An error of the venue: HTTP status, its own code, its words, and s to wait if it says so."""

    def __init__(self, status: int, code: int, words: str, wait: int | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.body = {"code": code, "msg": words}
        self.headers = {} if wait is None else {"Retry-After": str(wait)}


@dataclass
class Budget:
    """What the callers (one address: loopback) have used; times are venue times, ms."""

    weight: int = 0  # in the present minute
    most_weight: int = 0
    most_funding: int = 0  # requests in any 5 minutes
    _minute: int = 0
    _funding: deque[int] = field(default_factory=deque)

    def charge(self, path: str, query: Mapping[str, str], now: int) -> None:
        """Takes what a request costs.

        Raises:
            RefusedError: it was too much (429).
        """
        if path in FUNDING_PATHS:
            self._charge_funding(now)
            return
        if now // MINUTE != self._minute:
            self._minute, self.weight = now // MINUTE, 0
        self.weight += 10 if path == PREMIUM_INDEX and not query.get("symbol") else 1
        self.most_weight = max(self.most_weight, self.weight)
        if self.weight > WEIGHT_LIMIT:
            raise RefusedError(429, -1003, _TOO_MANY, (MINUTE - now % MINUTE) // 1000 + 1)

    def headers(self, path: str) -> dict[str, str]:
        """What the venue says of the weight; nothing where it does not count it."""
        return {} if path in FUNDING_PATHS else {"X-MBX-USED-WEIGHT-1M": str(self.weight)}

    def _charge_funding(self, now: int) -> None:
        while self._funding and self._funding[0] <= now - FUNDING_SPAN:
            self._funding.popleft()
        self._funding.append(now)
        self.most_funding = max(self.most_funding, len(self._funding))
        if len(self._funding) > FUNDING_LIMIT:
            free = self._funding[-FUNDING_LIMIT] + FUNDING_SPAN
            raise RefusedError(429, -1003, _TOO_MANY, (free - now) // 1000 + 1)


_TOO_MANY = "Too many requests; current limit of IP is 2400 requests per minute."
