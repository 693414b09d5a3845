"""Every switch of the simulator alone, grouped so that one program meets a few in a row."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.checker import Terms
from tests.chaos.lane import SHORT, WATCHED, Scene

SILENT = 10.0  # s within which a silent connection is given up
BLACK_HOLE = 11.0
AGAIN = 15.0  # s until rows come when the server is well
OUTAGE = 20.5  # s, long enough that the admins must hear of it
STEADY = ("ETHUSDT", "XRPUSDT")  # what is on stays on over an outage
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


def _interval_told() -> str:
    """What is told at once of an interval that changed: T contradicts the old one.

    Not in the last hour before a settlement of both: only the next catalog tells then.
    """
    return "" if time.gmtime().tm_hour % 8 == 7 else "ETHUSDT now pays every 1 h"


PROGRAMMES: Mapping[str, Programme] = {
    "silent": Programme(
        (Scene("silent", ("silent",), OUTAGE, noticed=SILENT, steady=STEADY, again=AGAIN),)
    ),
    "black hole": Programme(
        (
            Scene(
                "black hole",
                ("black-hole",),
                OUTAGE,
                noticed=BLACK_HOLE,
                steady=STEADY,
                again=AGAIN,
            ),
        )
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
            rows("lag", "3", seconds=4.0),
            rows("clock-jump", "3600000"),
            rows("clock-jump", "-3600000"),
            rows("clock-jump", "1500"),
            rows("clock-jump", "3600000", seconds=12.0),
        )
    ),
    "contracts": Programme(
        (
            Scene("interval", ("interval=ETHUSDT:1",), named=_interval_told()),
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
        ),
        Terms(patience=5.0, slack=6.0, stale=5_000),
        {"STALE": "5s"},
    ),
    "disagreement": Programme(
        (
            # Long enough for a second look, when the last rows of those two are old.
            Scene(
                "disagree",
                (f"disagree={','.join(WATCHED)}", "drop=ETHUSDT,TSLAUSDT", "reset"),
                21.0,
                lies=("ETHUSDT", "TSLAUSDT"),
            ),
        ),
        Terms(patience=5.0, slack=6.0, stale=5_000),
        {"STALE": "5s"},
    ),
}

MINUTE = 60.0  # s
REFUSED_FOR_GOOD = 5 * MINUTE  # s until rows come after a 451 or a 403 is over
CATALOG = 165.0  # s within which what is new in the catalog is told: it may need a second answer
PATIENT = Terms(patience=MINUTE, slack=6.0)


def of_catalog(name: str, fault: str, words: str, *ends: str) -> Scene:
    """Something is new in the catalog, and is told within minutes."""
    return Scene(name, (fault,), named=words, within=CATALOG, ends=ends, quiet=CATALOG)


def barred(status: int) -> Scene:
    """Refused as a matter of policy, again and again."""
    return Scene(
        f"refused {status}", (f"refuse={status}", "reset"), 2 * MINUTE, status=status,
        named=f"HTTP {status}", again=REFUSED_FOR_GOOD, outage=True,
    )  # fmt: skip


# With the lengths that they have in life.
AT_LENGTH: Mapping[str, Programme] = {
    "silent": Programme(
        (
            Scene(
                "silent",
                ("silent",),
                100.0,
                noticed=SILENT,
                steady=STEADY,
                again=AGAIN,
                outage=True,
            ),
        ),
        PATIENT,
    ),
    "silent at night": Programme(
        (
            Scene(
                "silent for 10 min",
                ("silent",),
                600.0,
                noticed=SILENT,
                steady=STEADY,
                again=AGAIN,
                outage=True,
            ),
        ),
        PATIENT,
    ),
    "black hole": Programme(
        (
            Scene(
                "black hole",
                ("black-hole",),
                100.0,
                noticed=BLACK_HOLE,
                steady=STEADY,
                again=AGAIN,
                outage=True,
            ),
        ),
        PATIENT,
    ),
    "hammered": Programme(
        (
            Scene(
                "accept, then close, 6 min",
                ("accept-then-close", "close"),
                6 * MINUTE,
                again=AGAIN,
                outage=True,
            ),
        ),
        PATIENT,
    ),
    "reset again and again": Programme(
        (
            *(cut(f"reset {n}", "reset") for n in range(30)),
            cut("lifetime", "lifetime=5", seconds=MINUTE),
        ),
        PATIENT,
    ),
    "451": Programme((barred(451),), PATIENT),
    "403": Programme((barred(403),), PATIENT),
    "429": Programme(
        (
            Scene(
                "refused 429 for 40 s",
                ("refuse=429", "retry-after=40", "reset"),
                5.0,
                status=429,
                again=AGAIN,
                outage=True,
            ),
            Scene(
                "refused 418 for 90 s",
                ("refuse=418", "retry-after=90", "reset"),
                5.0,
                status=418,
                again=AGAIN,
                outage=True,
            ),
        ),
        PATIENT,
    ),
    "catalog": Programme(
        (
            of_catalog("cap", "cap=BTCUSDT:0.00500", "BTCUSDT: cap and floor are now +0.5 %"),
            of_catalog("interval", "interval=ETHUSDT:1", "ETHUSDT now pays every 1 h"),
            of_catalog("delist", "delist=BTCUSDT", "BTCUSDT is no longer traded", "BTCUSDT"),
            of_catalog("unlist", "unlist=XRPUSDT", "XRPUSDT is no longer traded", "XRPUSDT"),
        ),
        PATIENT,
    ),
    "symbols without rows": Programme(
        (Scene("drop", ("drop=ETHUSDT,TSLAUSDT",), 100.0, quiet=10.0),), PATIENT
    ),
    "rows": Programme(
        tuple(
            rows(name, seconds=75.0)
            for name in ("repeat", "reorder", "broken", "malformed", "foreign")
        ),
        PATIENT,
    ),
    "late": Programme((rows("lag", "6", 75.0), rows("clock-jump", "1500", 75.0)), PATIENT),
    "behind": Programme(
        (
            Scene("E an hour behind", ("clock-jump=-3600000",), 75.0, again=AGAIN, outage=True),
            Scene("E an hour ahead", ("clock-jump=3600000",), 75.0, again=AGAIN, outage=True),
        ),
        PATIENT,
    ),
}
