"""The program's own words to people: faults, reloads, the end of a mute, the end of a rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.locale import Translate, formats, reasons
from bot.notify.markup import escape

MOST_LINES = 20  # of a list in one message


@dataclass(frozen=True, slots=True)
class StillOn:
    """An alert that is on: rule, symbol, since when (ms)."""

    rule: str
    symbol: str
    since: int


def database_fault(reason: str, _: Translate) -> str:
    return _(
        "⚠️ <b>The database cannot be written</b>: {reason}. Nothing is sent that could not be "
        "recorded; it is tried again every second."
    ).format(reason=escape(reasons.reason(reason, _)))


def database_over(_: Translate) -> str:
    return _("✅ The database can be written again; what was decided meanwhile is being sent.")


def recording_fault(reason: str, _: Translate) -> str:
    return _(
        "⚠️ <b>The recording cannot be written</b>: {reason}. Alerts are not affected; it is tried "
        "again every second, and what no longer fits into memory will be missing from it."
    ).format(reason=escape(reason))


def recording_over(_: Translate) -> str:
    return _("✅ The recording can be written again.")


def rules_refused(problems: Sequence[str], _: Translate) -> str:
    """`problems` are `FILE:LINE:COLUMN: message`."""
    lines = [escape(problem) for problem in problems[:MOST_LINES]]
    more = len(problems) - len(lines)
    head = _("⚠️ <b>The rules file was not taken</b>; the rules before it stay in force.")
    text = head + "\n<pre>" + "\n".join(lines) + "</pre>"
    return text + ("\n" + _("and {count} more").format(count=more) if more else "")


def rules_gone(name: str, _: Translate) -> str:
    return _(
        "⚠️ <b>The rules file {name} cannot be read</b>; the rules taken last stay in force."
    ).format(name=escape(name))


def rules_taken(name: str, summary: str, firing_kept: int, _: Translate) -> str:
    return _("✅ {name} taken: {summary}, {count} firing kept.").format(
        name=escape(name), summary=summary, count=firing_kept
    )


def unknown_symbols(problems: Sequence[str], _: Translate) -> str:
    """`problems` are `FILE:LINE:COLUMN: message`."""
    lines = [escape(problem) for problem in problems[:MOST_LINES]]
    head = _("⚠️ Some symbols of the rules file do not trade; the rest applies.")
    return head + "\n<pre>" + "\n".join(lines) + "</pre>"


def plain_fault(reason: str, _: Translate) -> str:
    """A fault whose own words say everything."""
    return "⚠️ " + escape(reasons.reason(reason, _))


def unreachable(reason: str, since: int, _: Translate) -> str:
    """Mostly read when it is over: it says since when (epoch ms)."""
    return _(
        "⚠️ <b>Telegram cannot be reached</b> since {moment} ({reason}). What is decided waits, and "
        "follows when it is back."
    ).format(moment=formats.moment(since, "UTC"), reason=escape(reasons.reason(reason, _)))


def telegram_back(_: Translate) -> str:
    return _("✅ Telegram can be reached again; what waited is being sent.")


def chat_back(_: Translate) -> str:
    return _("✅ The chat can be written to again.")


def poller_back(_: Translate) -> str:
    return _("✅ Commands are read again.")


def second_channel_unknown(names: Sequence[str], _: Translate) -> str:
    return _(
        "⚠️ FALLBACK_URLS names chats that are not under <code>chats:</code> in the rules file: "
        "{names}. Nothing is copied for them."
    ).format(names=escape(", ".join(names)))


def second_channel_known(_: Translate) -> str:
    return _("✅ All chats that FALLBACK_URLS names are known now.")


def mute_over(_: Translate) -> str:
    return _("🔔 The mute is over.")


def chat_reached(unsent: int, _: Translate) -> str:
    """`unsent` alerts had been decided when it went out of reach."""
    text = _("🔔 This chat can be written to again.")
    if not unsent:
        return text
    return text + " " + _("Alerts that waited and were not sent: {count}.").format(count=unsent)


def chat_claimed(_: Translate) -> str:
    return _("🔔 Alerts without a chat of their own come here from now on.")


def still_on(alerts: Sequence[StillOn], now: int, _: Translate) -> str:
    """What a chat that heard nothing for a while must know."""
    if not alerts:
        return _("Nothing is on now.")
    lines = [
        f"• <b>{escape(row.symbol)}</b> {escape(row.rule)} "
        + _("for {time}").format(time=formats.duration(max(now - row.since, 0)))
        for row in alerts[:MOST_LINES]
    ]
    if more := len(alerts) - len(lines):
        lines.append(_("and {count} more").format(count=more))
    return _("Still on:") + "\n" + "\n".join(lines)


def ended(gone: Sequence[str], over: Sequence[str], _: Translate, *, alone: bool) -> str:
    """Why nothing more comes of the alerts of a message; `alone`: it tells of no others.

    `gone` are symbols that are no longer traded, `over` those whose rule changed.
    """
    marks = []
    if gone:
        text = _("— No longer traded: this alert ended without being over; nothing more comes.")
        marks.append(text + _named(gone, alone=alone))
    if over:
        text = _("— This rule was changed or removed; nothing more comes of this alert.")
        marks.append(text + _named(over, alone=alone))
    return "\n".join(marks)


def _named(symbols: Sequence[str], *, alone: bool) -> str:
    return "" if alone else f" ({escape(', '.join(symbols[:MOST_LINES]))})"
