"""The venue's REST side: its time, the catalog, and the market at one moment.

Source: the venue's USDS-M "Market Data" pages, /fapi/v1/{time,exchangeInfo,fundingInfo,
premiumIndex}. What they cost and how often they may be asked: `rest_budget.py`.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from bot.market.binance import BrokenFrameError, premium_ticks
from bot.market.catalog import Catalog
from bot.market.catalog_changes import contracts_doubt, funding_doubt
from bot.market.plan import is_loopback
from bot.market.reconnect import refusal, retry_after_seconds
from bot.market.rest_budget import RestBudget
from bot.market.tick import Tick

TIMEOUT = httpx.Timeout(10.0, connect=5.0)  # s, each step of a request
WHOLE = 30.0  # s, a request with its answer: a trickle would never meet the limits above
CONTRACTS, FUNDING = HALVES = "exchangeInfo", "fundingInfo"  # of a catalog
LARGEST = 16 << 20  # bytes of an answer, unpacked; exchangeInfo, the largest, has 1 to 2 MB
LATEST = 1 << 53  # ms; a time beyond names none, and arithmetic on it would leave the floats
LONGEST_LOOK = 4.0  # s; an answer that took longer says too little about the venue's clock
_MAX_WORDS = 200  # characters of the venue's own words


class RestError(Exception):
    """A request failed, in plain words.

    `retry_after` is the wait in seconds that the venue asked for, or the budget; `sent`: whether
    the request went out at all.
    """

    def __init__(
        self, message: str, retry_after: float | None = None, *, sent: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.sent = sent


@dataclass(frozen=True, slots=True)
class TakenCatalog:
    """A catalog, and what went wrong with either half of it; that half is the previous one.

    `came` has the halves that came in good shape; `doubts` say of them why they are not believed.
    """

    catalog: Catalog
    problems: tuple[RestError, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)
    came: frozenset[str] = frozenset()


class MarketRest:
    """Requests to one REST root (before `/fapi`); closes its connections as a context manager.

    A request that its budget does not allow now is not sent: it fails with the wait in seconds.
    """

    def __init__(
        self,
        root: str,
        *,
        trust_env: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`trust_env`: whether proxies that the environment names are used; loopback needs none."""
        # s by which this machine's clock is ahead of the venue's, as last measured; None: unknown
        self.skew: float | None = None
        self._root = root.rstrip("/")
        self._budget = RestBudget()
        self._monotonic = monotonic
        self._wall = wall
        self._client = httpx.AsyncClient(
            headers={"Accept-Encoding": "gzip"},
            timeout=TIMEOUT,
            trust_env=trust_env and not is_loopback(root),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def server_time(self) -> int:
        """The venue's time in ms since 1970; measures `skew` as well.

        For that the venue is taken to have looked at its clock halfway through the exchange.

        Raises:
            RestError: as do all requests.
        """
        began, wall = self._monotonic(), self._wall()
        body = await self._json("time")
        moment = body.get("serverTime") if isinstance(body, dict) else None
        if type(moment) is not int or not 0 < moment < LATEST:
            raise RestError("/fapi/v1/time answered without a serverTime")
        took = self._monotonic() - began
        self.skew = wall + took / 2 - moment / 1000 if took <= LONGEST_LOOK else None
        return moment

    async def exchange_info(self) -> Any:
        """The body of exchangeInfo as decoded JSON: for `Catalog.with_exchange_info`."""
        return await self._json("exchangeInfo")

    async def funding_info(self) -> Any:
        """The body of fundingInfo as decoded JSON: for `Catalog.with_funding_info`."""
        return await self._json("fundingInfo")

    async def premium_index(self) -> tuple[Tick, ...]:
        """The present row of every symbol, in the shape of the stream's."""
        try:
            ticks = premium_ticks(await self._get("premiumIndex"))
        except BrokenFrameError as error:
            raise RestError(f"/fapi/v1/premiumIndex answered no rows: {error}") from None
        return tuple(_sane(tick) for tick in ticks if tick.event_time < LATEST)

    async def take_catalog(
        self, previous: Catalog, *, believed: Collection[str] = ()
    ) -> TakenCatalog:
        """A fresh catalog; a half that fails stays as it was in the previous one.

        So does a half that lost most of what it had, unless it is one of the `believed`.
        """
        catalog, problems, doubts, came = previous, [], {}, []
        for half, request, lay, doubt in (
            (CONTRACTS, self.exchange_info, _with_contracts, contracts_doubt),
            (FUNDING, self.funding_info, Catalog.with_funding_info, funding_doubt),
        ):
            try:
                taken = lay(catalog, await request())
            except (ValueError, RecursionError) as error:
                problems.append(RestError(f"the catalog's answer is of another shape: {error}"))
                continue
            except RestError as error:
                problems.append(error)
                continue
            came.append(half)
            why = "" if half in believed else doubt(catalog, taken)
            if why:
                doubts[half] = why
            else:
                catalog = taken
        return TakenCatalog(catalog, tuple(problems), doubts, frozenset(came))

    async def _json(self, name: str) -> Any:
        body = await self._get(name)
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RestError(f"/fapi/v1/{name} answered no JSON: {error}") from None

    async def _get(self, name: str) -> bytes:
        path = f"/fapi/v1/{name}"
        hold = self._budget.hold(name, self._monotonic())
        if hold is not None:
            raise RestError(f"{path} waits {hold.wait:.0f} s: {hold.reason}", hold.wait, sent=False)
        self._budget.spend(name, self._monotonic())
        try:
            async with asyncio.timeout(WHOLE):
                async with self._client.stream("GET", self._root + path) as answer:
                    self._heed(answer)
                    body = await _unpacked(path, answer)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RestError(f"BINANCE_REST_URL is no address: {error}") from None
        except (httpx.HTTPError, OSError) as error:
            words = str(error) or type(error).__name__
            raise RestError(f"{path} cannot be reached: {words}") from None
        if answer.status_code != 200:
            raise _refused(path, answer, body)
        return body

    def _heed(self, answer: httpx.Response) -> None:
        """Tells the budget what an answer says of the limits."""
        now, status = self._monotonic(), answer.status_code
        used = answer.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isascii() and used.isdecimal() and len(used) < 10:
            self._budget.used(int(used), now, self._wall())
        if status in (403, 418, 429, 451):
            problem = refusal(status, *_times(answer))
            self._budget.refused(problem.wait, now, problem.words, slow=problem.slow)
        elif status == 200:
            self._budget.answered()


def _with_contracts(catalog: Catalog, body: Any) -> Catalog:
    taken = catalog.with_exchange_info(body)
    if not taken.contracts:
        raise ValueError("an exchangeInfo without a single symbol")
    return taken


async def _unpacked(path: str, answer: httpx.Response) -> bytes:
    """The body of an answer. A few KB may unpack to GB: it is unpacked here, as far as is sane.

    Raises:
        RestError: it is too large, or packed otherwise than was asked for.
    """
    packing = answer.headers.get("Content-Encoding", "identity").lower()
    if packing not in ("gzip", "identity"):
        raise RestError(f"{path} answered in an encoding that was not asked for: {packing[:40]}")
    gunzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if packing == "gzip" else None
    body = bytearray()
    async for chunk in answer.aiter_raw():
        try:
            body += gunzip.decompress(chunk, LARGEST + 1 - len(body)) if gunzip else chunk
        except zlib.error as error:
            raise RestError(f"{path} answered broken gzip: {error}") from None
        if len(body) > LARGEST:
            raise RestError(f"{path} answered more than {LARGEST >> 20} MB: it is not read")
    return bytes(body)


def _sane(tick: Tick) -> Tick:
    """A T so late names no time."""
    if tick.next_funding_time < LATEST:
        return tick
    return msgspec.structs.replace(tick, next_funding_time=0)


def _times(answer: httpx.Response) -> tuple[str | None, str | None]:
    """What the answer says of how long to wait: Retry-After, and the moment it counts from."""
    return answer.headers.get("Retry-After"), answer.headers.get("Date")


def _refused(path: str, answer: httpx.Response, body: bytes) -> RestError:
    status = answer.status_code
    if status in (403, 418, 429, 451) or status >= 500:
        problem = refusal(status, *_times(answer))
        wait = problem.wait or retry_after_seconds(*_times(answer))
        return RestError(f"{path}: {problem.words}", wait)
    return RestError(f"{path}: HTTP {status}{_words(body)}")


def _words(answer: bytes) -> str:
    """The venue's own words of an error, `{"code": -1121, "msg": "Invalid symbol."}`."""
    try:
        body = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(body, dict) or "msg" not in body:
        return ""
    return f": {body['msg']} (code {body.get('code')})"[:_MAX_WORDS]
