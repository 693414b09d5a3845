"""Whether what was told is what the delivered rows say. Pure; times are local monotonic seconds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.chaos.delivered import MARGIN, Grade, Judge, Judged, Row, VenueTime
from tests.chaos.told import BACK, DOUBT, FIRED, RESOLVED, Notice, Told

STALE = 30_000  # ms
OUTAGE = 20.0  # s without a row: must be said
BLIP = 13.0  # s without a row: anything shorter must not be said
PAUSE = 6.0  # s without a row: they do not flow
BACK_AT_ONCE = 15.0  # s of rows after which the feed may count as back
DOUBT_WITHIN = 20.0  # s from the last row
BACK_WITHIN = 30.0  # s from the first row
PASSED_OVER = 0.75  # s of rows that a busy program may pass over
LATE = 3.0  # s that a message may take on a busy machine


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched of a symbol: `rate > threshold for hold` (ms)."""

    threshold: Decimal = Decimal("0.001")
    hold: int = 0

    def holds(self, row: Row) -> bool | None:
        return None if row.value is None else row.value > self.threshold


@dataclass(frozen=True, slots=True)
class Terms:
    """How patiently the promises are read."""

    patience: float = 60.0  # s for which a condition must be true to oblige
    slack: float = 6.0  # s from a row to the message about it
    stale: int = STALE  # ms, the program's setting


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which a symbol was not as others are: delisted, say, or lied about by REST.

    `ends`: its alert may have ended without a word. `until` is when the program must have noticed
    that it is over; until then its rows oblige to nothing.
    """

    symbol: str
    begun: float
    until: float
    ends: bool = False
    rest_lies: bool = False

    def covers(self, row: Row) -> bool:
        return row.symbol == self.symbol and self.begun <= row.at <= self.until


def judge(
    rows: Sequence[Row], terms: Terms, spells: Sequence[Spell] = (), times: Sequence[VenueTime] = ()
) -> list[Judged]:
    """The rows that count at least possibly."""
    true = [row for row in rows if not (row.rest and any(_lies(each, row) for each in spells))]
    return [
        _excused(each, spells)
        for each in Judge(terms.stale, times).all(true)
        if each.grade is not Grade.BAD
    ]


def problems(
    judged: Sequence[Judged],
    told: Sequence[Told],
    watched: Mapping[str, Watched],
    terms: Terms,
    spells: Sequence[Spell] = (),
) -> list[str]:
    """What is wrong with the alerts, in words; nothing where each is as it should be."""
    wrong: list[str] = []
    for symbol, watch in watched.items():
        usable = [each for each in judged if each.row.symbol == symbol]
        mine = [one for one in told if one.symbol == symbol]
        ends = [each.begun for each in spells if each.ends and each.symbol == symbol]
        wrong += _unjustified(usable, mine, watch, terms)
        wrong += _out_of_turn(mine, ends)
        wrong += _untold(usable, mine, watch, terms)
    strangers = dict.fromkeys(one.symbol for one in told if one.symbol not in watched)
    return wrong + [f"{symbol}: told, and nobody watches it" for symbol in strangers]


def _lies(spell: Spell, row: Row) -> bool:
    return spell.rest_lies and spell.covers(row)


def _excused(judged: Judged, spells: Sequence[Spell]) -> Judged:
    if any(spell.ends and spell.covers(judged.row) for spell in spells):
        return Judged(judged.row, Grade.DOUBTFUL, "a contract that was not traded")
    return judged


def _unjustified(
    usable: Sequence[Judged], told: Iterable[Told], watch: Watched, terms: Terms
) -> Iterator[str]:
    """Each message needs a row that was delivered shortly before, with its very value.

    And a later one than the message before it: nothing is told back and forth.
    """
    before = -1
    for one in told:
        wanted = one.kind == FIRED
        positions = [
            position
            for position, each in enumerate(usable)
            if position > before
            and each.row.at <= one.at
            and each.row.value == one.value
            and watch.holds(each.row) is wanted
        ]
        if not positions:
            yield f"{_name(one)}: no row that may be believed says so"
            continue
        before = positions[0]
        if one.at - usable[positions[-1]].row.at > terms.slack:
            ago = one.at - usable[positions[-1]].row.at
            yield f"{_name(one)}: the last row that says so came {ago:.1f} s before"
        elif wanted and not any(_held(usable, at, watch, terms) for at in positions):
            yield f"{_name(one)}: not held for {watch.hold} ms on any reading of the rows"


def _held(usable: Sequence[Judged], position: int, watch: Watched, terms: Terms) -> bool:
    """Whether the hold was over at a row on the most lenient reading.

    Of rows that come in a burst the program takes the latest: what was false for a moment only may
    have been passed over.
    """
    end = since = usable[position].row.event_time
    false_until: float | None = None
    for each in reversed(usable[:position]):
        if since - each.row.event_time > terms.stale + MARGIN:
            break
        if watch.holds(each.row) is False and each.grade is Grade.GOOD:
            false_until = each.row.at if false_until is None else false_until
            if false_until - each.row.at >= PASSED_OVER:
                break
            continue
        false_until = None
        since = min(since, each.row.event_time)
    return end - since >= watch.hold


def _out_of_turn(told: Iterable[Told], starts: Sequence[float]) -> Iterator[str]:
    """Fired and resolved take turns, unless the alert ended in between without a word."""
    on, before = False, float("-inf")
    for one in told:
        if any(before < start <= one.at for start in starts) and one.kind == FIRED:
            on = False
        if on == (one.kind == FIRED):
            yield f"{_name(one)}: {'fired twice' if on else 'resolved without having fired'}"
        on, before = one.kind == FIRED, one.at


def _untold(
    usable: Sequence[Judged], told: Sequence[Told], watch: Watched, terms: Terms
) -> Iterator[str]:
    """What was true on good rows for long enough must have been told."""
    for begun, ended, truth in runs(usable, watch, terms):
        least = terms.patience + (watch.hold / 1000 if truth else 0)
        if ended - begun < least:
            continue
        before = [one for one in told if one.at < begun]
        within = [one for one in told if begun <= one.at <= ended + terms.slack]
        states = [bool(before) and before[-1].kind == FIRED, *(one.kind == FIRED for one in within)]
        if truth not in states:
            what = FIRED if truth else RESOLVED
            yield (
                f"{usable[0].row.symbol}: true on good rows for {ended - begun:.1f} s"
                f" until {ended:.1f}, and never told as {what}"
            )


def runs(
    usable: Sequence[Judged], watch: Watched, terms: Terms
) -> Iterator[tuple[float, float, bool]]:
    """The times from the first to the last of good rows that say the same, and what they say."""
    begun = ended = 0.0
    truth: bool | None = None
    for each in usable:
        says = watch.holds(each.row)
        if each.grade is not Grade.GOOD and says is truth:
            continue
        broken = each.row.at - ended > (terms.stale - MARGIN) / 1000
        if says is truth and not broken and each.grade is Grade.GOOD:
            ended = each.row.at
            continue
        if truth is not None:
            yield begun, ended, truth
        begun = ended = each.row.at
        truth = says if each.grade is Grade.GOOD else None
    if truth is not None:
        yield begun, ended, truth


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without rows; `over` is None where it lasted to the end."""

    begun: float
    over: float | None


@dataclass(frozen=True, slots=True)
class Outage:
    """Gaps between which rows did not flow for long enough for the feed to be back surely.

    `doubts` is how often that may be said at least and at most.
    """

    begun: float
    over: float | None
    doubts: tuple[int, int]


def gaps(times: Iterable[float], begun: float, ended: float) -> list[Gap]:
    """The times without rows that are more than a pause, given when rows came."""
    found, last = [], begun
    for at in times:
        if at - last > PAUSE:
            found.append(Gap(last, at))
        last = at
    if ended - last > PAUSE:
        found.append(Gap(last, None))
    return found


def outages(found: Sequence[Gap], ended: float) -> list[Outage]:
    """What must be said of gaps, and what may: the feed is back when rows flowed for a while."""
    made: list[Outage] = []
    for gap in found:
        lasted = (ended if gap.over is None else gap.over) - gap.begun
        least = int(lasted >= OUTAGE + (LATE if gap.over is None else 0))
        most = int(lasted >= BLIP)
        before = made[-1] if made else None
        if before is None or before.over is None or gap.begun - before.over >= BACK_WITHIN + LATE:
            made.append(Outage(gap.begun, gap.over, (least, most)))
            continue
        again = most if gap.begun - before.over >= BACK_AT_ONCE else 0
        doubts = (max(before.doubts[0], least), max(before.doubts[1] + again, most))
        made[-1] = Outage(before.begun if before.doubts[1] else gap.begun, gap.over, doubts)
    return [each for each in made if each.doubts[1]]


def gaps_of(judged: Iterable[Judged], begun: float, ended: float) -> tuple[list[Gap], list[Gap]]:
    """The times without rows of the stream that count, and without any that count surely."""
    stream = [each for each in judged if not each.row.rest]
    surely = [each.row.at for each in stream if each.grade is Grade.GOOD]
    return gaps((each.row.at for each in stream), begun, ended), gaps(surely, begun, ended)


def wrong_notices(
    found: Sequence[Gap], said: Sequence[Notice], ended: float, possible: Sequence[Gap] = ()
) -> list[str]:
    """One doubt and one back for each outage, in time; none for anything shorter.

    In `possible` gaps something may be said and need not.
    """
    wrong, left = [], list(said)
    for outage in outages(found, ended):
        until = ended if outage.over is None else outage.over
        name = f"the outage from {outage.begun:.1f} to {until:.1f}"
        doubts = _take(left, DOUBT, outage.begun, until + LATE)
        backs = _take(left, BACK, outage.begun, until + BACK_WITHIN + LATE)
        least, most = outage.doubts
        if not least <= len(doubts) <= most:
            wrong.append(f"{name}: {len(doubts)} messages that the feed is in doubt")
        if least == most == 1 and doubts and doubts[0].at - outage.begun > DOUBT_WITHIN + LATE:
            wrong.append(f"{name}: said {doubts[0].at - outage.begun:.1f} s after the last row")
        over = outage.over is not None and outage.over + BACK_WITHIN + LATE <= ended
        if not len(doubts) - (not over) <= len(backs) <= len(doubts):
            wrong.append(f"{name}: {len(backs)} messages that the feed is back")
        wrong += [
            f"{name}: said to be back at {one.at:.1f}, while no rows came"
            for one in backs
            if any(_within(gap, one.at, ended) for gap in found)
        ]
    for outage in outages(possible, ended):
        until = ended if outage.over is None else outage.over + BACK_WITHIN + LATE
        left = [one for one in left if not outage.begun <= one.at <= until]
    wrong += [f"without an outage: {one.kind} at {one.at:.1f}: {one.text}" for one in left]
    return wrong


def _within(gap: Gap, at: float, ended: float) -> bool:
    return gap.begun + LATE < at < (ended if gap.over is None else gap.over)


def _take(left: list[Notice], kind: str, begun: float, until: float) -> list[Notice]:
    """Takes out the notices of a kind within a time."""
    taken = [one for one in left if one.kind == kind and begun <= one.at <= until]
    for one in taken:
        left.remove(one)
    return taken


def _name(told: Told) -> str:
    return f"{told.symbol} {told.kind} at {told.value:f} ({told.at:.1f})"
