"""What happened to an alert, complete enough to be written about later without asking again."""

import msgspec

from bot.alerts.lifecycle import Kind, State
from bot.market.number import Value
from bot.market.reading import FIELDS, HOUR, Reading
from bot.market.reading import Kind as Unit
from bot.rules.rule import Rule, Severity


class Snapshot(msgspec.Struct, frozen=True):
    """The market of one symbol at the moment of an event; None where unknown.

    Ratios are fractions, prices the venue's texts, times ms.
    """

    rate: float | None = None  # per funding interval
    rate8h: float | None = None
    apr: float | None = None
    basis: float | None = None
    mark: str = ""
    index: str = ""
    interval: int | None = None
    next_funding_time: int = 0  # epoch ms; 0: no funding


class Event(msgspec.Struct, frozen=True):
    """A fired, resolved or reminded alert of one rule on one symbol.

    `values` holds the present value of each field named in `when`: ratios as fractions, prices
    as sent, `funding` in seconds, `interval` in hours; an unknown one is left out.
    """

    at: int  # event time, ms
    kind: Kind
    rule_id: str
    rule: str  # its name
    fingerprint: str
    symbol: str
    since: int  # when the condition of this episode became true, ms
    number: int  # of the reminder in its episode, from 1; 0 for the others
    already: bool
    values: dict[str, float]
    snapshot: Snapshot
    condition: str  # canonical text
    headline: str  # the term that matters most, as text: "rate", "|basis|", "change(mark, 1h)"
    value: float | None  # its present value; times in ms
    peak: float | None  # its furthest value in this episode; times in ms
    severity: Severity
    quiet: bool
    note: str
    countdown: bool  # the condition mentions `funding`: worthless once T has passed
    instant: bool  # a crossing: it will not resolve


def event_of(rule: Rule, reading: Reading, kind: Kind, episode: State, *, already: bool) -> Event:
    """An event of an episode as a reading shows it."""
    headline = rule.headline.read(reading)
    return Event(
        at=reading.now,
        kind=kind,
        rule_id=rule.id,
        rule=rule.name,
        fingerprint=rule.fingerprint,
        symbol=reading.tick.symbol,
        since=episode.since,
        number=episode.reminders if kind is Kind.REMINDED else 0,
        already=already,
        values=_values(rule, reading),
        snapshot=snapshot_of(reading),
        condition=rule.condition.text,
        headline=str(rule.headline),
        value=None if headline is None else headline.approx,
        peak=episode.peak,
        severity=rule.options.severity,
        quiet=rule.options.quiet,
        note=rule.options.note,
        countdown=rule.condition.mentions_funding,
        instant=rule.condition.is_instant,
    )


def snapshot_of(reading: Reading) -> Snapshot:
    """The market of a symbol as a reading shows it; a stale one shows the time to funding alone."""
    interval = reading.value("interval")
    return Snapshot(
        rate=_approx(reading.value("rate")),
        rate8h=_approx(reading.value("rate8h")),
        apr=_approx(reading.value("apr")),
        basis=_approx(reading.value("basis")),
        mark=reading.tick.mark if reading.value("mark") is not None else "",
        index=reading.tick.index if reading.value("index") is not None else "",
        interval=None if interval is None else int(interval.exact),
        next_funding_time=reading.tick.next_funding_time,
    )


def _approx(value: Value | None) -> float | None:
    return None if value is None else value.approx


def _values(rule: Rule, reading: Reading) -> dict[str, float]:
    """The present value of each field of the condition, in the units of the outside contract."""
    divisors = {"funding": 1_000, "interval": HOUR}  # ms in a second, in an hour
    values = {name: reading.value(name) for name in rule.condition.fields}
    return {
        name: float(value.exact / divisors.get(name, 1)) if FIELDS[name].kind is Unit.TIME
        else float(value.exact)
        for name, value in values.items()
        if value is not None
    }  # fmt: skip
