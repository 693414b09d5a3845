"""Random sequences of faults: which, together with which, for how long; all of it from a seed."""

import random
from collections.abc import Callable

from tests.chaos.lane import WATCHED, Scene

# How long a fault stays on, and how long it is quiet afterwards (s).
SHORT_TIMES, LONG_TIMES = (0.3, 1.0, 2.0, 4.0, 6.0), (0.3, 2.0, 6.0, 12.0, 25.0, 40.0)
QUIET_TIMES = (0.0, 0.5, 1.0, 3.0)

Pick = Callable[[random.Random], str]


def some(*texts: str) -> Pick:
    """One of these, whatever they are combined with."""
    return lambda chance: chance.choice(texts)


def symbols(name: str) -> Pick:
    """The switch for one or two of the watched symbols."""
    return lambda chance: (
        f"{name}={','.join(chance.sample(sorted(WATCHED), chance.choice((1, 2))))}"
    )


def of_a_symbol(name: str, *values: str) -> Pick:
    return lambda chance: f"{name}={chance.choice(sorted(WATCHED))}:{chance.choice(values)}"


FAULTS: tuple[Pick, ...] = (
    some("silent"),
    some("black-hole"),
    some("accept-then-close", "accept-then-close=1001", "accept-then-close=1011"),
    some("refuse=503", "refuse=500", "refuse=404", "refuse=429", "refuse=418"),
    some("lifetime=1", "lifetime=0.5", "lifetime=3"),
    some("close=1001", "close=1008", "close=1011", "close=4000"),
    some("reset"),
    some("shutdown-notice=1", "shutdown-notice=3"),
    some("repeat"),
    some("reorder"),
    some("broken"),
    some("malformed"),
    some("foreign"),
    # Far ahead for 3 s at most: once the clock has followed, an hour of rows is in the past.
    some("clock-jump=1500", "clock-jump=-1500", "clock-jump=-20000", "clock-jump=-3600000"),
    some("lag=0.5", "lag=2", "lag=5"),
    symbols("drop"),
    symbols("delist"),
    symbols("unlist"),
    of_a_symbol("interval", "1", "2", "4", "8"),
    of_a_symbol("cap", "0.00300", "0.00750"),
    some("settle=1", "settle=3"),
    some("rest-down", "rest-down=429", "rest-down=418", "rest-down=400"),
    some("rest-hang"),
    some(f"disagree={','.join(WATCHED)}"),
)
# Refusals are met by those who come anew.
CUTS = ("reset", "close=1001")


def sequence(seed: int, scenes: int, times: tuple[float, ...] = SHORT_TIMES) -> list[Scene]:
    """The scenes of a seed: one fault or two at once each."""
    chance = random.Random(f"{seed}:sequence")
    return [_scene(chance, times) for _ in range(scenes)]


def _scene(chance: random.Random, times: tuple[float, ...]) -> Scene:
    picked = [pick(chance) for pick in chance.sample(FAULTS, chance.choice((1, 1, 2)))]
    faults = {fault.partition("=")[0]: fault for fault in picked}
    if "refuse" in faults or "rest-down" in faults:
        faults["retry-after"] = f"retry-after={chance.choice((1, 2, 3))}"
    if faults.keys() & {"refuse", "accept-then-close"} and not faults.keys() & {"reset", "close"}:
        cut = chance.choice(CUTS)
        faults[cut.partition("=")[0]] = cut  # the last: what is refused must be in force
    return Scene(
        " + ".join(faults.values()),
        tuple(faults.values()),
        seconds=chance.choice(times),
        quiet=chance.choice(QUIET_TIMES),
        ends=_named(faults, "delist", "unlist"),
        lies=_named(faults, "drop") if "disagree" in faults else (),
    )


def _named(faults: dict[str, str], *names: str) -> tuple[str, ...]:
    """The symbols that these switches are set for."""
    found = [faults[name].partition("=")[2] for name in names if name in faults]
    return tuple(symbol for text in found for symbol in text.split(","))
