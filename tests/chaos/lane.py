"""One real program in its own little world, the faults that it meets, and what came of them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.simulator.server import Simulator, SimulatorSettings
from tests.app.program import ADMIN, Place, quiet
from tests.chaos.checker import (
    BACK_WITHIN,
    LATE,
    Spell,
    Terms,
    Watched,
    gaps_of,
    judge,
    problems,
    wrong_notices,
)
from tests.chaos.figures import Figures, Noticed
from tests.chaos.forked import ForkedRun
from tests.chaos.tap import Link, Tap
from tests.chaos.told import BACK, alerts, notices
from tests.chaos.weather import Weather
from tests.doubles.telegram import TelegramDouble

PERIOD = 0.25  # s between the pushes of the simulated market
FUNDING_INFO = "/fapi/v1/fundingInfo"
HANDSHAKE_WITHIN = 30.0  # s after a cut; the spacing grows with each failure
NAMED_WITHIN = 23.0  # s; a silent feed must be told of within 20
KNOWN_WITHIN = 130.0  # s until a contract that is traded again must be known to be
FIRING = 1.5  # s until what was raised is firing
LAST_WORD = 2.0  # s after the last change of the market; at least ...
MOST_LAST_WORDS = 10  # ... and at most, as long as something is still untold
START_WITHIN = 45.0  # s; many programs start at once on a machine with other work
STREAMS = 200
# What everybody watches: moved by the weather, one with a hold.
WATCHED: Mapping[str, Watched] = {
    "BTCUSDT": Watched(),
    "ETHUSDT": Watched(),
    "币安人生USDT": Watched(),
    "TSLAUSDT": Watched(),
    "XRPUSDT": Watched(hold=2_000),
}
SHORT = Terms(patience=5.0, slack=6.0)


@dataclass(frozen=True)
class Scene:
    """A fault for some seconds, and then a while without.

    `quiet` is how long it is quiet afterwards; `noticed` and `again` are the most seconds until
    the program gives a dead connection up, and until rows come after the fault is over (None: it
    does not stop them). The seconds begin when a handshake has met `status`. `steady` names
    symbols that fire all the while, `ends` those whose alerts may end without a word, `lies` those
    that the stream does not bring and REST does not tell the truth about,
    `named` the words that the admins are to hear meanwhile, `within` so many seconds. After an
    `outage` they are to hear that it is over.
    """

    name: str
    faults: tuple[str, ...]
    seconds: float = 4.0
    quiet: float = 2.0
    noticed: float | None = None
    again: float | None = None
    status: int | None = None
    steady: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    lies: tuple[str, ...] = ()
    named: str = ""
    within: float = NAMED_WITHIN
    outage: bool = False


@dataclass
class Lane:
    """A running program with all that is around it."""

    name: str
    place: Place
    tap: Tap
    run: ForkedRun
    weather: Weather
    figures: Figures
    terms: Terms = SHORT
    streams: int = STREAMS
    watched: Mapping[str, Watched] = field(default_factory=lambda: WATCHED)
    begun: float = field(default_factory=time.monotonic)
    wrong: list[str] = field(default_factory=list)
    played: list[tuple[float, str]] = field(default_factory=list)
    spells: list[Spell] = field(default_factory=list)

    async def flows(self, since: float, within: float) -> float | None:
        """Waits for a row of the stream; its time, None where none came."""
        with contextlib.suppress(TimeoutError):
            await self.tap.wait_for(lambda: self._first_after(since) is not None, within)
        return self._first_after(since)

    async def play(self, scene: Scene) -> None:
        """Plays a scene, and writes down what was slow."""
        links = [link for link in self.tap.links if link.rows and link.ended is None]
        held = dict.fromkeys((*scene.steady, *scene.ends, *scene.lies))
        for symbol in held:
            if symbol in scene.lies:  # which say that the rate is higher
                self.weather.lower(symbol)
            else:
                self.weather.raise_(symbol)
        await asyncio.sleep(FIRING if held else 0)
        started = self._begin(scene)
        if scene.noticed is not None:
            await self._notices(scene, links, scene.noticed)
        if scene.status is not None:
            met = await self._meets(scene.status, started)
            await asyncio.sleep(scene.seconds if met else 0)
        else:
            await asyncio.sleep(max(started + scene.seconds - time.monotonic(), 0))
        if scene.named:
            await self._hears(scene, started)
        self._clear(scene, started)
        for symbol in held:
            self.weather.move(symbol)
        await self._recovers(scene)
        await asyncio.sleep(scene.quiet)

    def _begin(self, scene: Scene) -> float:
        started = time.monotonic()
        self.played.append((started, scene.name))
        self.spells += [Spell(symbol, started, float("inf"), ends=True) for symbol in scene.ends]
        for fault in scene.faults:
            self.place.venue.faults.set_text(fault)
        for symbol in scene.ends:
            self.weather.let_go(symbol)
        return started

    async def _recovers(self, scene: Scene) -> None:
        if scene.again is not None:
            await self.comes_back(scene.name, scene.again)
        if scene.outage:
            await self._is_said_to_be_back(time.monotonic())

    async def finish(self) -> list[str]:
        """Lets the last word be said, ends the program, and says what was wrong with it all."""
        self.weather.calm()
        await asyncio.sleep(LAST_WORD)
        for _ in range(MOST_LAST_WORDS):
            if not self._told_wrong(time.monotonic()):
                break
            await asyncio.sleep(1)
        if self.run.returncode is not None:
            self.wrong.append(f"the process ended by itself with {self.run.returncode}")
        else:
            self.wrong += self._told_wrong(time.monotonic())
            if (code := await self.run.stop()) != 0:
                self.wrong.append(f"asked to stop, it ended with {code}")
        self._judge()
        self._write_down()
        return [f"{self.name}: {each}" for each in self.wrong]

    def _write_down(self) -> None:
        """Leaves in the folder what an investigation would ask for."""
        folder, telegram = self.place.folder, self.place.telegram
        links = [f"{link.opened - self.begun:8.2f} {link}" for link in self.tap.links]
        asked = [f"{each.at - self.begun:8.2f} {each}" for each in self.tap.asked]
        told = [f"{each.at - self.begun:8.2f} {each.text}" for each in telegram.messages]
        marks = [f"{at - self.begun:8.2f} {name}" for at, name in self.played]
        (folder / "wire.log").write_text("\n".join([*marks, *links, *asked]), encoding="utf-8")
        (folder / "told.log").write_text("\n".join(told), encoding="utf-8")

    def _told_wrong(self, now: float) -> list[str]:
        messages = self.place.telegram.to(ADMIN)
        told = alerts(messages)
        judged = judge(self.tap.rows, self.terms, self.spells, self.tap.times)
        sure, possible = gaps_of(judged, self.begun, now)
        return [
            *problems(judged, told, self.watched, self.terms, self.spells),
            *wrong_notices(sure, notices(messages), now, possible),
        ]

    def _judge(self) -> None:
        self.figures.count(self.tap.rows, alerts(self.place.telegram.to(ADMIN)))
        self._judge_limits()
        if "Traceback" in self.run.output:
            self.wrong.append("a traceback: " + self.run.output.partition("Traceback")[2][:2000])

    def _judge_limits(self) -> None:
        counts = self.place.venue.counts
        self.figures.limits(counts)
        if counts.busiest_second > 10:
            self.wrong.append(f"{counts.busiest_second} messages within a second")
        if counts.most_streams > self.streams:
            self.wrong.append(f"{counts.most_streams} streams on a connection")
        if counts.busiest(300) > 30:
            self.wrong.append(f"{counts.busiest(300)} connects within five minutes")
        if counts.early:
            self.wrong.append(f"{counts.early} requests before a Retry-After was over")
        if self.place.telegram.limited:
            self.wrong.append(f"{self.place.telegram.limited} times 429 of Telegram")

    async def _notices(self, scene: Scene, links: list[Link], within: float) -> None:
        """Until the program gives its dead connections up."""
        with contextlib.suppress(TimeoutError):
            await self.tap.wait_for(lambda: all(link.left for link in links), within + 5)
        for link in links:
            assert link.last_row is not None
            took = link.left - link.last_row if link.left is not None else None
            self.figures.noticed.append(Noticed(scene.name, took, within))
            if took is None or took > within:
                self.wrong.append(f"{scene.name}: noticed after {took} s")

    async def _meets(self, status: int, since: float) -> bool:
        """Until a handshake was answered so."""

        def met() -> bool:
            return any(link.status == status and link.opened > since for link in self.tap.links)

        with contextlib.suppress(TimeoutError):
            await self.tap.wait_for(met, HANDSHAKE_WITHIN)
        if not met():
            self.wrong.append(f"no handshake met the {status}")
        return met()

    async def _hears(self, scene: Scene, since: float) -> None:
        """Until the admins have heard the words, once."""

        def heard() -> list[str]:
            return [
                message.text
                for message in self.place.telegram.to(ADMIN)
                if message.at > since and scene.named in message.text
            ]

        with contextlib.suppress(AssertionError):
            await self.place.telegram.wait_for(heard, scene.within)
        if len(heard()) != 1:
            self.wrong.append(f"{scene.name}: {scene.named!r} was told {len(heard())} times")

    async def _is_said_to_be_back(self, cleared: float) -> None:
        """Until the admins have heard that the feed is back; the checker counts how often."""

        def heard() -> bool:
            messages = self.place.telegram.to(ADMIN)
            return any(one.kind == BACK and one.at > cleared for one in notices(messages))

        with contextlib.suppress(AssertionError):
            await self.place.telegram.wait_for(heard, BACK_WITHIN + LATE)
        if not heard():
            self.wrong.append("the admins did not hear that the feed is back")

    def _clear(self, scene: Scene, started: float) -> None:
        for fault in scene.faults:
            self.place.venue.faults.clear(fault.partition("=")[0])
        cleared = time.monotonic()
        self.played.append((cleared, f"{scene.name} over"))
        self.spells += [
            Spell(symbol, started, cleared + 1.0, rest_lies=True) for symbol in scene.lies
        ]
        for spell in [spell for spell in self.spells if spell.until == float("inf")]:
            self.spells.remove(spell)
            self.spells.append(replace(spell, until=cleared + KNOWN_WITHIN))

    async def comes_back(self, name: str, within: float) -> None:
        """Until rows come; a time that the server asked for is no fault of the program."""
        since = time.monotonic()
        asked = [link.ended + link.retry_after for link in self.tap.links if link.ended]
        due = max([since, *asked])
        first = await self.flows(since, due - since + within + 5)
        took = None if first is None else max(first - due, 0.0)
        self.figures.again.append(Noticed(name, took, within))
        if took is None or took > within:
            self.wrong.append(f"{name}: rows again after {took} s")

    def _first_after(self, since: float) -> float | None:
        for row in reversed(self.tap.rows):
            if row.at < since:
                break
            if not row.rest:
                return min(each.at for each in self.tap.stream_rows(since))
        return None


@contextlib.asynccontextmanager
async def a_lane(
    folder: Path,
    figures: Figures,
    name: str,
    *,
    seed: int = 1,
    environment: Mapping[str, str] | None = None,
    faults: tuple[str, ...] = (),
    terms: Terms = SHORT,
    until: Callable[[Tap], object] | None = None,
) -> AsyncIterator[Lane]:
    """A program whose rows flow, or that has come as far as `until` says."""
    settings = SimulatorSettings(symbols=40, period=PERIOD, seed=seed, faults=faults)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with Simulator(settings) as venue, TelegramDouble() as telegram:
        telegram.add_chat(ADMIN, "private", "Admin")
        quiet(venue)
        weather = Weather(venue, WATCHED, seed)
        place = Place(folder, venue, telegram)
        write_rules(place, WATCHED)
        async with Tap(venue.port).listening() as tap:
            own = {"LOG_LEVEL": "info", **tap.environment, **(environment or {})}
            async with ForkedRun(folder, place.environment_of(**own)) as run:
                lane = Lane(name, place, tap, run, weather, figures, terms)
                await _started(lane, lambda: bool((until or _works)(tap)))
                weather.begin()
                yield lane


def _works(tap: Tap) -> bool:
    """Rows came after the catalog: the start is over."""
    taken = [each.at for each in tap.asked if each.path == FUNDING_INFO and each.status == 200]
    return bool(taken and tap.stream_rows(taken[0] + 0.5))


async def _started(lane: Lane, flowing: Callable[[], bool]) -> None:
    """Until the program has come so far; what it said where it did not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_WITHIN):
            while not flowing() and lane.run.returncode is None:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)
    assert flowing(), f"{lane.name}: the program did not start:\n{lane.run.output[-3000:]}"


def write_rules(place: Place, watched: Mapping[str, Watched]) -> None:
    """A rule for each symbol."""
    place.write_rules(
        *(
            f'{{name: "of {symbol}", symbols: {symbol}, when: "rate > {watch.threshold}"'
            + (f", for: {watch.hold // 1000}s" if watch.hold else "")
            + "}"
            for symbol, watch in watched.items()
        )
    )
