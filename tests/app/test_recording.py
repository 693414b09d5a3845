"""What a run records, a replay decides alike: event by event, `at` included."""

import asyncio
import contextlib
import json
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.market.capture import CaptureError
from bot.market.catalog import read_catalog_file
from bot.market.recording_file import Rotation
from bot.rules.rules_file import read_rules_file
from tests.app.program import ADMIN, Place, a_place
from tests.app.recorded_session import (
    GROUP,
    Session,
    as_json,
    files,
    frames_of,
    random_run,
    replayed,
)
from tests.reference import scenarios
from tests.reference.scenarios import Scenario, scenario

HIGH, LOW = "0.00200000", "0.00010000"
POOLS = (scenarios.QUANTITIES, scenarios.CHANGES)


class Happenings:
    """What happens to a run besides rows and time, drawn from a scenario's own pools."""

    def __init__(self, session: Session, scene: Scenario, *, rules_change: bool = True) -> None:
        self.session = session
        self.scene = scene
        deeds = [self.restart, self.restart, self.catalog]
        if rules_change:
            deeds += [
                self.go_back,
                self.edit,
                self.edit,
                self.watch,
                self.watch,
                self.unwatch,
                self.move,
            ]
        self.deeds = deeds

    async def __call__(self, chance: random.Random) -> None:
        await chance.choice(self.deeds)(chance)

    async def edit(self, chance: random.Random) -> None:
        rules = json.loads(self.session.rules)["rules"]
        fresh = json.loads(scenarios.rule_file(chance, self.session.time))
        kept = [rule for rule in rules if chance.random() < 0.8]
        added = [dict(rule, name=f"x{chance.randint(0, 5)}") for rule in fresh["rules"][:2]]
        named = {rule["name"]: rule for rule in kept + added}
        await self.session.edit(json.dumps({**fresh, "rules": list(named.values())}))

    async def watch(self, chance: random.Random) -> None:
        when = scenarios.rule(chance, self.scene.start, POOLS)["when"]
        options: tuple[str, ...] = ("", "", " once", " until 45s", " cooldown 5s")
        if "cross" not in when.lower():
            options += (" for 3s", " for 2s keep 3s")
        await self.session.watch(f"BTCUSDT,ETHUSDT {when}{chance.choice(options)}")

    async def unwatch(self, chance: random.Random) -> None:
        del chance
        await self.session.unwatch()

    async def move(self, chance: random.Random) -> None:
        del chance
        await self.session.move()

    async def catalog(self, chance: random.Random) -> None:
        feeds = scenarios.feeds_of(chance, self.scene.start)
        body = scenarios.catalog_of(chance, feeds)
        if body is not None:
            await self.session.catalog(read_catalog_file(json.dumps(body).encode()))

    async def go_back(self, chance: random.Random) -> None:
        if self.session.live.engine.clock:
            await self.session.go_back(chance.choice((1_000, 20_000, 90_000)))

    async def restart(self, chance: random.Random) -> None:
        await self.session.stop(killed=chance.random() < 0.5)
        self.session.time += chance.choice((0, 5_000, 60_000))
        await self.session.start()


def made_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def seeded(seed: int, folder: Path, *, rules_change: bool = True) -> Session:
    """A whole run of a seed, over restarts and rotations."""
    chance = random.Random(seed)
    scene = scenario(seed)
    name = chance.choice(("rec.jsonl", "rec.jsonl.gz", "rec.jsonl.zst"))
    session = Session(made_folder(folder) / name, scene.rules, Rotation(every=120_000))
    session.time = scene.start
    happenings = Happenings(session, scene, rules_change=rules_change)
    await random_run(session, frames_of(scene.lines), chance, happenings)
    return session


SEEDS = [
    (1, 4),
    *(
        pytest.param(first, 50, marks=[pytest.mark.torture, pytest.mark.timeout(3_600)])
        for first in range(1_000, 1_500, 50)
    ),
]


@pytest.mark.parametrize(("first", "count"), SEEDS)
async def test_a_replay_tells_what_the_run_told(first: int, count: int, tmp_path: Path) -> None:
    told = 0
    for seed in range(first, first + count):
        session = await seeded(seed, tmp_path / str(seed))
        events, summary, warnings = replayed(*files(session.path))
        assert as_json(events) == as_json(session.told()), f"seed {seed}"
        assert warnings == []
        assert summary.broken == 0
        told += len(events)
    assert told > 20 * count


@pytest.mark.parametrize(("first", "count"), SEEDS)
async def test_with_the_same_rules_given_it_tells_the_same(
    first: int, count: int, tmp_path: Path
) -> None:
    for seed in range(first, first + count):
        session = await seeded(seed, tmp_path / str(seed), rules_change=False)
        rules = read_rules_file(session.rules.encode()).rules
        events, summary, _ = replayed(*files(session.path), rules=rules)
        assert as_json(events) == as_json(session.told()), f"seed {seed}"
        assert summary.played.rules_passed_over


async def test_each_file_of_a_recording_is_replayed_alone_too(tmp_path: Path) -> None:
    session = await seeded(5, tmp_path / "run")
    parts = files(session.path)
    assert len(parts) > 2
    for number, part in enumerate(parts):
        _, summary, warnings = replayed(part)
        assert summary.broken == 0
        said = f"{part}:1: the recording is played from its part {number}: alerts that were on"
        assert [warning[: len(said)] for warning in warnings] == [said] * bool(number)
    _, summary, _ = replayed(parts[2])
    assert summary.played.rows


async def test_no_chat_is_named(tmp_path: Path) -> None:
    session = Session(tmp_path / "rec.jsonl", scenario(3).rules)
    session.time = scenario(3).start
    await session.start()
    for frame in frames_of(scenario(3).lines)[:50]:
        await session.take(frame)
    await session.watch('BTCUSDT rate > 0.01% note "call 555-1234"')
    for frame in frames_of(scenario(3).lines)[50:100]:
        await session.take(frame)
    await session.stop()
    await session.start()
    await session.move()
    await session.stop()
    body = session.path.read_text(encoding="utf-8")
    assert '"when":"rate > 0.01%"' in body
    aliases = {word[:22] for word in body.split('"') if word.startswith("watch:")}
    assert len(aliases) == 2  # before and after the move, the same over the restart
    for secret in (str(GROUP), "555-1234", "watch:-"):
        assert secret not in body


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        yield made


def outbox(place: Place) -> list[dict[str, Any]]:
    """The alerts that the program stored, in order, as `replay --json` writes events."""
    with contextlib.closing(
        sqlite3.connect(f"file:{place.folder}/bot.db?mode=ro", uri=True)
    ) as database:
        rows = database.execute("SELECT payload FROM outbox WHERE kind = 'alert' ORDER BY id")
        events = [json.loads(payload) for (payload,) in rows]
    return [
        {
            "at": event["at"],
            "event": event["kind"],
            "rule": event["rule"],
            "symbol": event["symbol"],
            "since": event["since"],
            "values": event["values"],
            "already": event["already"],
        }
        for event in events
    ]


async def told(place: Place, symbol: str, least: int) -> None:
    """Waits until so many events about a symbol are stored."""
    async with asyncio.timeout(20):
        while True:
            if sum(event["symbol"] == symbol for event in outbox(place)) >= least:
                return
            await asyncio.sleep(0.05)


async def flushed(place: Place, path: Path) -> None:
    """Waits until the file holds what led to every event: a kill may cost a second of it."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(CaptureError):  # in the middle of a write
                if len(replayed(path)[0]) >= len(outbox(place)):
                    return
            await asyncio.sleep(0.2)


@pytest.mark.timeout(180)
async def test_the_program_records_what_it_told(place: Place) -> None:
    path = place.folder / "rec.jsonl.zst"
    place.write_rules(
        '{name: hot, symbols: ETHUSDT, when: "rate8h > 0.1%"}',
        '{name: slow, symbols: [ALL], when: "rate8h > 0.1%", for: 1s, cooldown: 3s}',
    )
    async with place.start(RECORD=str(path)) as run:
        await run.said("Rows flow")
        place.telegram.say(ADMIN, "/watch BTCUSDT rate>0.0005")
        await place.heard(ADMIN, "rate > 0.05%")
        for symbol in ("ETHUSDT", "BTCUSDT"):
            place.venue.set_row(symbol, rate=HIGH)
        await place.heard(ADMIN, "Rule #1")
        good = place.rules.read_text(encoding="utf-8")
        place.write_rules("{name: bad, symbols: BTCUSDT, when: rat > 1%}")
        await place.heard(ADMIN, "not taken")
        place.rules.write_text(good.replace("for: 1s", "for: 2s"), encoding="utf-8")
        await place.heard(ADMIN, "taken: ")
        place.venue.set_row("SOLUSDT", rate="0.00020000")
        place.venue.faults.set("interval", "SOLUSDT:1")  # rate8h is above 0.1 % from then on
        if time.gmtime().tm_hour % 8 == 7:
            # The last hour before a common settlement: T is the same at both intervals, and only
            # the next catalog would tell.
            place.venue.set_row("SOLUSDT", rate=HIGH)
        await told(place, "SOLUSDT", 1)
        place.venue.faults.set("silent")
        await asyncio.sleep(1.5)
        place.venue.faults.clear("silent")
        place.venue.faults.set("delist", "SOLUSDT")
        place.venue.set_row("BTCUSDT", rate=LOW)
        await told(place, "BTCUSDT", 3)
        assert await run.stop() == 0
    async with place.start(RECORD=str(path)) as run:
        await run.said("Rows flow")
        place.venue.set_row("ETHUSDT", rate=LOW)
        await told(place, "ETHUSDT", 4)
        await flushed(place, path)
        await run.kill()
    place.venue.set_row("ETHUSDT", rate=HIGH)
    async with place.start(RECORD=str(path)) as run:
        await told(place, "ETHUSDT", 6)
        assert await run.stop() == 0
    result = CliRunner().invoke(app, ["replay", str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    got = [json.loads(line) for line in result.stdout.splitlines()]
    assert as_json(got) == as_json(outbox(place))
    assert "3 starts" in result.stderr
    assert str(ADMIN) not in {word for line in result.stdout.split('"') for word in line.split(":")}
