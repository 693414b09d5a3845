"""What a chat is told of a rule that tells too much: that it is paused, and what it did in sum."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.alerts.event import Event
from bot.alerts.lifecycle import Kind
from bot.app.texts import MOST_LINES
from bot.locale import Translate, formats
from bot.notify.item import Reader
from bot.notify.markup import escape
from bot.notify.storm import MESSAGES
from bot.notify.term import term_text

_MOST_NAMES = 100  # of those that get no line of their own
_TODAY = 12 * 3_600_000  # ms; a time further back than this is told with its date


@dataclass(frozen=True, slots=True)
class Flapped:
    """What one rule did on one symbol since the last word on it; times are event times (ms)."""

    symbol: str
    rule: str
    fired: int
    resolved: int
    first_at: int
    last_at: int  # of the firings; of anything where none is among it
    on_since: int | None  # None: it is over
    instant: bool  # a crossing is never on
    headline: str
    peak: float | None
    goes_on: bool  # False: it is told one by one again


def flapped(
    events: Sequence[Event], *, downwards: bool, on_since: int | None, goes_on: bool
) -> Flapped:
    """The sum of one rule's events on one symbol, in their order; smaller is more `downwards`."""
    fired = [event for event in events if event.kind is Kind.FIRED]
    peaks = [event.peak for event in events if event.peak is not None]
    last = events[-1]
    return Flapped(
        symbol=last.symbol,
        rule=last.rule,
        fired=len(fired),
        resolved=sum(event.kind is Kind.RESOLVED for event in events),
        first_at=events[0].at,
        last_at=(fired or events)[-1].at,
        on_since=on_since,
        instant=last.instant,
        headline=last.headline,
        peak=(min if downwards else max)(peaks, default=None),
        goes_on=goes_on,
    )


def paused(rule: str, held: int, _: Translate) -> str:
    text = _(
        "⏸ <b>Rule {name} sent {messages} messages here within 3 minutes, so it is paused in this "
        "chat.</b> Its alerts are held: {held} so far. “Resume” or {command} sends them together."
    )
    command = f"<code>/resume {escape(rule)}</code>"
    return text.format(name=escape(rule), messages=MESSAGES, held=held, command=command)


def pause_over(rule: str, _: Translate, *, resumed: bool, is_left: bool) -> str:
    """What the notice of a pause becomes where nobody's answer has put it right."""
    name = f"<b>{escape(rule)}</b>"
    if resumed:
        return _("▶️ {name} goes on.").format(name=name)
    if is_left:
        text = _("▶️ {name} was changed and begins anew; what was held of it is dropped.")
        return text.format(name=name)
    text = _("{name} is no more: it was removed, or it ended. Nothing of it is held.")
    return text.format(name=name)


def summary(pairs: Sequence[Flapped], reader: Reader, now: int, _: Translate) -> str:
    """One text on everything that was folded in a chat; the busiest first."""
    ordered = sorted(pairs, key=lambda pair: (-pair.fired, pair.symbol, pair.rule))
    shown, rest = ordered[:MOST_LINES], ordered[MOST_LINES:]
    start = _time(min(pair.first_at for pair in pairs), reader, now)
    head = _("⚡ <b>Too often to tell one by one</b>, since {start}:").format(start=start)
    lines = [head, *(_line(pair, reader, now, _) for pair in shown)]
    if rest:
        lines.append(_rest(rest, _))
    if any(pair.goes_on for pair in pairs):
        lines.append(_("The next summary follows in 15 min, if there is something to tell."))
    return "\n".join(lines)


def _line(pair: Flapped, reader: Reader, now: int, _: Translate) -> str:
    last = _time(pair.last_at, reader, now)
    if pair.instant:
        parts = [_("crossed {count}×, last at {time}").format(count=pair.fired, time=last)]
    else:
        parts = [_counts(pair.fired, pair.resolved, _)]
        if pair.on_since is None:
            parts.append(_("over now"))
        else:
            since = _time(pair.on_since, reader, now)
            parts.append(_("on since {time}").format(time=since))
        if pair.peak is not None:
            parts.append(_("peak {value}").format(value=term_text(pair.headline, pair.peak)))
    if not pair.goes_on:
        parts.append(_("told one by one again"))
    return f"• <b>{escape(pair.symbol)}</b> {escape(pair.rule)}: " + " · ".join(parts)


def _rest(pairs: Sequence[Flapped], _: Translate) -> str:
    fired, resolved = sum(pair.fired for pair in pairs), sum(pair.resolved for pair in pairs)
    names = [escape(name) for name in dict.fromkeys(pair.symbol for pair in pairs)]
    named = ", ".join(names[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")
    more = _("and {count} more").format(count=len(pairs))
    return f"{more} ({named}): {_counts(fired, resolved, _)}"


def _counts(fired: int, resolved: int, _: Translate) -> str:
    return _("came on {fired}×, was over {resolved}×").format(fired=fired, resolved=resolved)


def _time(at: int, reader: Reader, now: int) -> str:
    write = formats.clock if now - at < _TODAY else formats.moment
    return write(at, reader.timezone)
