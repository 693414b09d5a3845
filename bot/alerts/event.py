"""What happened to an alert, complete enough to be written about later without asking again."""

import msgspec

from bot.alerts.lifecycle import Kind
from bot.rules.rule import Severity


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
