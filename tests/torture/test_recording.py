"""An hour of a market of 900 symbols, recorded as it is decided on, replays to the same events."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.market.catalog import Catalog, Contract, Funding
from bot.market.number import parse_number
from bot.market.recording_file import Rotation
from bot.simulator.prices import Market, Pin
from bot.simulator.universe import Changes, Universe, build_universe
from tests.app.recorded_session import Session, as_json, files, replayed

START = 1_790_163_000_000  # half an hour before a settlement of every interval
Report = Callable[[str, object], None]
RULES = """\
version: 1
defaults: {{cooldown: 2m}}
rules:
  - {{name: extreme, symbols: [ALL], when: "|rate8h| > {level}", for: 5s, clear: 0.045%}}
  - {{name: rich, symbols: ["*USDT", "!BTCUSDT"], when: "|basis| > 0.15%", keep: 10s}}
  - {{name: moved, symbols: [perp], when: "|basis| > 0.1% and change(mark, 2m) > 0.3%"}}
  - {{name: long, symbols: [ALL], when: "change(mark, 15m) > 1%", repeat: 10m}}
  - {{name: soon, symbols: ["*USDC"], when: "funding < 10m and rate > 0", resolved: on}}
  - {{name: crossed, symbols: [tradfi], when: "basis crosses 0%", cooldown: 5m}}
"""


def frames(market: Market, at: int) -> Iterator[bytes]:
    """What the array stream brings in a second."""
    listings = market.universe.listings.values()
    for tradfi, phase in ((False, 0), (True, 684)):
        rows = ",".join(
            market.row(one.symbol, at + phase).json() for one in listings if one.tradfi is tradfi
        )
        yield f'{{"stream":"!markPrice@arr@1s","data":[{rows}]}}'.encode()


def catalog_of(universe: Universe) -> Catalog:
    listings = [one for one in universe.listings.values() if not one.coin_margined]
    return Catalog(
        {one.symbol: Contract(one.symbol, one.contract_type, one.status) for one in listings},
        {
            one.symbol: Funding(
                one.symbol, one.interval, parse_number(one.cap), parse_number(f"-{one.cap}")
            )
            for one in listings
            if one.adjusted
        },
    )


class Hour:
    """The market, and what befalls the run at some of its seconds."""

    def __init__(self, session: Session, symbols: int, seconds: int) -> None:
        self.session = session
        self.seconds = seconds
        self.universe = build_universe(1, symbols, START)
        self.market = Market(self.universe, 1, START)
        self.skipped = 0  # seconds without rows that are to come
        # Shares of the hour; each deed has its own place between the rows.
        self.deeds = {
            0.1: self.watch,
            0.2: self.bad_minute,
            0.3: self.edit,
            0.4: self.restart,
            0.5: self.reshape,
            0.6: self.kill,
            0.7: self.silence,
            0.8: self.restart,
        }

    async def play(self) -> None:
        due = {round(share * self.seconds): deed for share, deed in self.deeds.items()}
        await self.session.start()
        await self.session.catalog(catalog_of(self.universe))
        for second in range(self.seconds):
            if second in due:
                await due[second]()
            if self.skipped:
                self.skipped -= 1
            else:
                await self.rows(second)
            await self.tell(START + second * 1000 + 900)
        await self.session.stop()

    async def rows(self, second: int) -> None:
        both = list(frames(self.market, START + second * 1000))
        if second % 20 == 0:  # the reader had to wait: they come together
            await self.session.take(*both)
        else:
            for body in both:
                await self.session.take(body)

    async def tell(self, now: int) -> None:
        await self.session.let_pass(
            max(now - self.session.time, 0), everything=now // 1000 % 5 == 0
        )

    async def watch(self) -> None:
        await self.session.watch("BTCUSDT,ETHUSDT |basis| > 0.02% cooldown 1m")
        await self.session.watch("DOGEUSDT rate > 0.01% once")

    async def bad_minute(self) -> None:
        self.market.pin("ADAUSDT", Pin(rate="0.00900000", mark="nonsense"))

    async def edit(self) -> None:
        await self.session.edit(RULES.format(level="0.06%"))

    async def reshape(self) -> None:
        hourly = [name for name, one in self.universe.listings.items() if one.interval == 8][5:9]
        changes = Changes(delisted=("LINKUSDT",), intervals=dict.fromkeys(hourly, 1))
        self.universe = self.universe.with_changes(changes)
        self.market.relist(self.universe)
        await self.session.catalog(catalog_of(self.universe))

    async def restart(self) -> None:
        await self.session.stop()
        await self.session.start()

    async def kill(self) -> None:
        await self.session.stop(killed=True)
        await self.session.start()

    async def silence(self) -> None:
        self.skipped = 45


@pytest.mark.parametrize(
    ("symbols", "seconds", "name"),
    [
        (60, 240, "hour.jsonl.zst"),
        pytest.param(
            900, 3_600, "hour.jsonl.gz", marks=[pytest.mark.torture, pytest.mark.timeout(3_600)]
        ),
    ],
)
async def test_an_hour_replays_to_the_same_events(
    symbols: int, seconds: int, name: str, tmp_path: Path, record_property: Report
) -> None:
    rotation = Rotation(every=seconds * 1000 // 3)
    session = Session(tmp_path / name, RULES.format(level="0.05%"), rotation)
    session.time = START
    hour = Hour(session, symbols, seconds)
    await hour.play()
    parts = files(session.path)
    events, summary, warnings = replayed(*parts)
    told = session.told()
    assert as_json(events) == as_json(told)
    assert (warnings, summary.broken) == ([], 0)
    assert summary.played.starts == 4
    assert len(parts) >= 3
    kinds = Counter(event["event"] for event in events)
    record_property("summary", f"{summary.played.rows} rows, {dict(kinds)}, {len(parts)} files")
    assert kinds["fired"] > symbols / 10
    assert kinds["resolved"]
    assert {event["rule"] for event in events} >= {"extreme", "rich", "#1"}
