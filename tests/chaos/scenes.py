"""Every switch of the simulator alone, grouped so that one program meets a few in a row."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.checker import Terms
from tests.chaos.lane import SHORT, Scene

SILENT = 10.0  # s within which a silent connection is given up
BLACK_HOLE = 11.0
AGAIN = 15.0  # s until rows come when the server is well
OUTAGE = 20.5  # s, long enough that the admins must hear of it
BLIP = 12.0  # s, short enough that they must not


@dataclass(frozen=True)
class Programme:
    """The scenes that one program meets, and how it is started."""

    scenes: tuple[Scene, ...]
    terms: Terms = SHORT
    environment: Mapping[str, str] = field(default_factory=dict)


def cut(name: str, *faults: str, seconds: float = 0.0) -> Scene:
    """A connection is lost, and comes back when the server is well."""
    return Scene(name, faults, seconds, again=AGAIN)


def rows(name: str, value: str = "", seconds: float = 3.0) -> Scene:
    """Something is wrong with the rows, and the connection stays."""
    return Scene(name, (f"{name}={value}" if value else name,), seconds)


def refused(status: int, seconds: float = 1.0) -> Scene:
    """The connection is cut, and the next handshake refused."""
    faults = (f"refuse={status}", "retry-after=3", "reset")
    return Scene(f"refused {status}", faults, seconds, status=status, again=AGAIN)


PROGRAMMES: Mapping[str, Programme] = {
    "silent": Programme((Scene("silent", ("silent",), OUTAGE, noticed=SILENT, again=AGAIN),)),
    "black hole": Programme(
        (Scene("black hole", ("black-hole",), OUTAGE, noticed=BLACK_HOLE, again=AGAIN),)
    ),
    "cuts": Programme(
        (cut("reset", "reset"), cut("close", "close"), cut("lifetime", "lifetime=1"))
    ),
    "ends": Programme(
        (
            cut("accept, then close", "accept-then-close", "close", seconds=4.0),
            cut("shutdown notice", "shutdown-notice=3", seconds=4.0),
        )
    ),
    "refusals": Programme((refused(429), refused(503))),
    "bans": Programme((refused(418), refused(404))),
    "frames": Programme(
        tuple(rows(name) for name in ("repeat", "reorder", "broken", "malformed", "foreign"))
    ),
    "times": Programme(
        (
            rows("lag", "3", seconds=5.0),
            rows("clock-jump", "3600000"),
            rows("clock-jump", "-3600000"),
            rows("clock-jump", "1500"),
            rows("clock-jump", "3600000", seconds=14.0),
        )
    ),
    "contracts": Programme(
        (
            Scene("interval", ("interval=ETHUSDT:1",), named="ETHUSDT now pays every 1 h"),
            Scene("settle", ("settle=2",), 4.0),
            Scene("cap", ("cap=BTCUSDT:0.00500",)),
            Scene("delist", ("delist=BTCUSDT",), 4.0, ends=("BTCUSDT",)),
            Scene("unlist", ("unlist=ETHUSDT",), 4.0, ends=("ETHUSDT",)),
        )
    ),
    "second source": Programme(
        (
            Scene("drop", ("drop=ETHUSDT,TSLAUSDT",), 9.0),
            Scene("REST down", ("rest-down", "reset"), 3.0),
            Scene("REST hangs", ("rest-hang", "reset"), 3.0),
            Scene(
                "disagree",
                ("disagree=ETHUSDT,TSLAUSDT", "drop=ETHUSDT,TSLAUSDT"),
                9.0,
                lies=("ETHUSDT", "TSLAUSDT"),
            ),
        ),
        Terms(patience=5.0, slack=6.0, stale=5_000),
        {"STALE": "5s"},
    ),
}
