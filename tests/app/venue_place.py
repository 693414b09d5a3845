"""The venue's side of a run, its clocks in hand: real parts, a REST double, rows as a test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from bot import __version__
from bot.alerts.engine import Engine
from bot.app.desk import Desk
from bot.app.faults import Faults
from bot.app.live import Live
from bot.app.parts import Parts, Replacement
from bot.app.venue import Venue
from bot.app.world import LiveWorld
from bot.market.catalog import Catalog
from bot.market.clock import VenueClock
from bot.market.feed import FeedStatus
from bot.market.inbox import Batch
from bot.market.rest import MarketRest
from bot.market.stream import MarketStream, StreamSettings
from bot.market.unconfirmed import AGREED_AFTER
from bot.notify.payload import decode_payload
from bot.ops.metrics import build_metrics
from bot.rules.rule import Rule
from bot.store.memory import MemoryStore
from bot.store.records import OutboxRow, OutboxStatus
from tests.alerts.build import START, tick
from tests.doubles.venue_rest import VenueRest

ADMIN = 7


class Stream(MarketStream):
    """A stream that is never run: it shows what a test says."""

    def __init__(self) -> None:
        super().__init__(StreamSettings("ws://127.0.0.1:1"), [])
        self.shown = FeedStatus()

    def status(self) -> FeedStatus:
        return self.shown

    def taken(self) -> None:
        self.shown = replace(self.shown, last_taken=self.shown.last_row)

    def show(self, **changes: Any) -> None:
        self.shown = replace(self.shown, **changes)


class VenuePlace:
    """`seconds` is the time since START: of the venue, of REST, of this machine."""

    def __init__(self, rest: VenueRest, client: MarketRest, stale_after: int) -> None:
        self.seconds = 0.0
        self.rest = rest
        self.store = MemoryStore()
        self.desk = Desk([ADMIN])
        self.engine = Engine((), Catalog(), stale_after=stale_after)
        self.clock = VenueClock(START, 0.0)
        self.faults = Faults(self.desk.admin_readers)
        parts = Parts(self.engine, self.store, self.desk, self.faults, build_metrics(__version__))
        self.live = Live(
            parts,
            now=lambda: self.clock.now(self.seconds),
            wall=lambda: START + int(self.seconds * 1000),
            wake=lambda: None,
            say_unrecorded=lambda row: None,
        )
        self.stream = Stream()
        world = LiveWorld.__new__(LiveWorld)  # it is only given quotes here
        self.venue = Venue(
            self.live, world, self.stream, client, self.clock, monotonic=lambda: self.seconds
        )

    async def use(self, *rules: Rule) -> None:
        await self.live.replace_rules(lambda: Replacement(self.desk.joined(rules), {}))
        self.venue.follow_rules()

    async def row(self, rate: str = "0.0001", symbol: str = "BTCUSDT", **fields: Any) -> None:
        """A row of the stream, now."""
        made = tick(int(self.seconds), rate, symbol, **fields)
        self.stream.show(last_row=self.seconds)
        await self.venue._take(Batch((made,)))

    async def second(self, rows: dict[str, str] | None = None) -> None:
        """A second passes, with rows of these symbols at these rates."""
        self.seconds += 1
        self.rest.now = START + int(self.seconds * 1000)
        for symbol, rate in (rows or {}).items():
            await self.row(rate, symbol)
        await self.venue.heartbeat()
        await self.venue.watch_feed()
        await self.venue.second.look()

    async def pass_time(self, seconds: int, rows: dict[str, str] | None = None) -> None:
        for _ in range(seconds):
            await self.second(rows)

    async def refresh(self) -> None:
        """The catalog is taken again, as late as a budget may want."""
        await self.venue.refresh_catalog()

    def skip(self, seconds: float) -> None:
        """Time passes in which nothing is looked at."""
        self.seconds += seconds
        self.rest.now = START + int(self.seconds * 1000)

    async def agree(self) -> None:
        """It is taken, and once more when that counts as another answer."""
        await self.refresh()
        self.skip(AGREED_AFTER)
        await self.refresh()

    def rows(self) -> list[OutboxRow]:
        return sorted(self.store._outbox.rows.values(), key=lambda row: row.id)

    def told(self, chat_id: int = ADMIN) -> list[str]:
        """What waits for a chat: texts, and alerts as `kind symbol`."""
        payloads = [decode_payload(row) for row in self.rows() if row.chat_id == chat_id]
        return [getattr(p, "text", "") or f"{p.kind} {p.symbol}" for p in payloads]  # type: ignore[union-attr]

    async def deliver(self) -> None:
        """Everything that waits is sent; message ids are the rows' own."""
        for row in self.rows():
            if row.status is OutboxStatus.NEW:
                fields = {name: getattr(row, name) for name in row.__struct_fields__}
                sent = {"status": OutboxStatus.SENT, "message_id": 1000 + row.id}
                self.store._outbox.put(OutboxRow(**fields | sent))


@asynccontextmanager
async def a_venue_place(stale_after: int = 30_000) -> AsyncIterator[VenuePlace]:
    """BTCUSDT and ETHUSDT trade every 8 h; both sources say the same of them."""
    async with VenueRest(START) as rest:
        rest.statuses = {"BTCUSDT": "TRADING", "ETHUSDT": "TRADING"}
        rest.terms = dict.fromkeys(rest.statuses, (8, "0.02"))
        rest.rows = {name: {} for name in rest.statuses}
        made: list[VenuePlace] = []
        async with MarketRest(
            rest.url,
            trust_env=False,
            monotonic=lambda: made[0].seconds,
            wall=lambda: START / 1000 + made[0].seconds,
        ) as client:
            made.append(VenuePlace(rest, client, stale_after))
            await made[0].store.open()
            yield made[0]
