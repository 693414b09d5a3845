"""The program's words about the venue: feed, second source, clock, what is new in the catalog."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.locale import Translate, formats
from bot.locale.reasons import reason
from bot.market.catalog_changes import CatalogChange, News, Terms
from bot.market.crosscheck import Difference
from bot.market.number import Value
from bot.market.reading import HOUR
from bot.notify.markup import escape

MOST_LINES = 20  # of a list in one message
_FIELDS = ("rate", "mark", "index")  # whose values are shown as the venue sent them


@dataclass(frozen=True, slots=True)
class Silence:
    """A silent feed: for how long, since when (epoch ms), why, and when a connect is due (s)."""

    seconds: int
    since: int
    problem: str
    connected: bool
    next_connect: float | None


def feed_silent(silence: Silence, _: Translate) -> str:
    lines = [
        _("⚠️ <b>The feed is silent</b>: no new row for {time}, since {moment}.").format(
            time=formats.duration(silence.seconds * 1000),
            moment=formats.moment(silence.since, "UTC"),
        )
    ]
    if silence.problem:
        lines.append(_with_reason(_("The last problem: {reason}."), silence.problem, _))
    lines.append(_being_done(silence, _))
    lines.append(
        _(
            "Until rows flow again, values come by REST, twice a minute; where it brings none, "
            "nothing fires or resolves."
        )
    )
    return "\n".join(lines)


def _being_done(silence: Silence, _: Translate) -> str:
    if silence.next_connect is not None:
        wait = formats.duration(silence.next_connect * 1000)
        return _("The next attempt to connect comes in {time}.").format(time=wait)
    if silence.connected:
        return _("A connection is open; rows are waited for.")
    return _("An attempt to connect is under way.")


def feed_refused(problem: str, wait: int, _: Translate) -> str:
    said = _("⚠️ The feed is still silent: {reason}. The next attempt comes in {time}.")
    return _with_reason(said, problem, _, time=formats.duration(wait * 1000))


def _with_reason(said: str, problem: str, _: Translate, **others: str) -> str:
    """A text with a reason at the end of a sentence; a reason may be a whole sentence itself."""
    words = escape(reason(problem, _)).rstrip(".。")
    if words.endswith(("?", "？", "!", "！")):
        said = said.replace("{reason}.", "{reason}").replace("{reason}。", "{reason}")
    return said.format(reason=words, **others)


def feed_back(silent_for: int, by: str, _: Translate) -> str:
    """`silent_for`: ms. `by`: what brought it back: "reconnect", "handover" or "rows"."""
    how: Mapping[str, str] = {
        "reconnect": _("a new connection brought it back"),
        "handover": _("a second connection took over"),
        "rows": _("rows came again on the open connection"),
    }
    return _("✅ The feed is back after {time}: {how}.").format(
        time=formats.duration(silent_for), how=how[by]
    )


def rows_late(seconds: int, _: Translate) -> str:
    return _(
        "⚠️ <b>Rows come late</b>: {time} after they were made. Alerts come as much later."
    ).format(time=formats.duration(seconds * 1000))


def rows_in_time(_: Translate) -> str:
    return _("✅ Rows come in time again.")


def clock_off(skew: float, _: Translate) -> str:
    """`skew`: s by which this machine's clock is ahead of the venue's."""
    ahead = _("⚠️ <b>This machine's clock is {time} ahead</b> of the venue's.")
    behind = _("⚠️ <b>This machine's clock is {time} behind</b> the venue's.")
    todo = _("Alerts are right all the same, their times in logs are not. Set it by NTP.")
    text = (ahead if skew > 0 else behind).format(time=formats.duration(abs(skew) * 1000))
    return text + " " + todo


def clock_right(_: Translate) -> str:
    return _("✅ This machine's clock is right again.")


def streams_silent(names: Sequence[str], _: Translate) -> str:
    head = _(
        "⚠️ <b>Streams that give no rows</b>, though the venue acknowledged them; REST brings "
        "their values where it can:"
    )
    return head + "\n" + _listed([f"<code>{escape(name)}</code>" for name in names], ", ", _)


def streams_answer(_: Translate) -> str:
    return _("✅ Every stream gives rows.")


def sources_differ(
    differences: Sequence[Difference],
    compared: int,
    trusted: bool,
    _: Translate,
) -> str:
    """`trusted`: few differ, so that REST may still bring what the stream does not."""
    count = len({difference.symbol for difference in differences})
    head = _(
        "⚠️ <b>Stream and REST differ</b> on {count} of {compared} symbols; the stream is used."
    ).format(count=count, compared=compared)
    if not trusted:
        head += " " + _("Nothing is taken from REST until they agree.")
    lines = [
        _("{symbol}: {field} {stream} in the stream, {rest} by REST").format(
            symbol=f"<b>{escape(each.symbol)}</b>",
            field="T" if each.field == "T" else each.field,
            stream=_said(each.field, each.stream),
            rest=_said(each.field, each.rest),
        )
        for each in differences
    ]
    return head + "\n" + _listed(lines, "\n", _)


def sources_agree(_: Translate) -> str:
    return _("✅ Stream and REST agree again.")


def catalog_doubted(doubts: Sequence[str], _: Translate) -> str:
    head = _("⚠️ <b>The venue's catalog is not believed</b>; the one before stays in force.")
    return head + "\n" + escape("; ".join(doubts))


def catalog_believed(_: Translate) -> str:
    return _("✅ The venue's catalog is complete again.")


def no_catalog(_: Translate, *, intervals: bool, names: bool) -> str:
    """`intervals`, `names`: whether these are known from before all the same."""
    lines = [_("⚠️ <b>The venue's catalog cannot be had</b>; it is asked for again and again.")]
    if not intervals:
        lines.append(
            _(
                "Until it is there, every contract is taken to pay every 8 h: rate8h and apr are "
                "too low for those that pay more often."
            )
        )
    if not names:
        lines.append(_("Until it is there, nobody knows which contracts trade."))
    return "\n".join(lines)


def catalog_there(_: Translate) -> str:
    return _("✅ The venue's catalog is there: intervals and contracts are known.")


def fault_before_start(kind: str, since: int, _: Translate) -> str:
    """A fault that an earlier run told; this one has not looked yet."""
    what: Mapping[str, str] = {
        "feed": _("the feed is silent"),
        "lag": _("rows come late"),
        "skew": _("this machine's clock is off"),
        "unanswered": _("streams give no rows"),
        "second-source": _("stream and REST differ"),
        "catalog": _("the venue's catalog is not believed"),
        "no-catalog": _("the venue's catalog cannot be had"),
        "telegram": _("Telegram cannot be reached"),
        "token": _("Telegram refuses the token"),
    }
    return _("⚠️ Told before this start, since {moment}: {what}.").format(
        moment=formats.moment(since, "UTC"), what=what[kind]
    )


def with_length(over: Callable[[Translate], str], lasted: int, _: Translate) -> str:
    """The end of a fault, with how long (ms) it was."""
    return over(_) + " " + _("It lasted {time}.").format(time=formats.duration(lasted))


Rate = Callable[[str], Value | None]  # a symbol's present rate, a fraction per interval


def catalog_news(changes: Sequence[CatalogChange], rate: Rate, _: Translate) -> str:
    """What is new of the contracts that a chat's rules are about, a line each."""
    return _listed([_line(change, rate, _) for change in changes], "\n", _)


def _line(change: CatalogChange, rate: Rate, _: Translate) -> str:
    symbol, after = f"<b>{escape(change.symbol)}</b>", change.after
    match change.news:
        case News.GONE:
            status = escape(change.status or _("not listed"))
            return _(
                "⚰️ {symbol} is no longer traded ({status}): no alerts come for it any more; what "
                "was on has ended without a “resolved”."
            ).format(symbol=symbol, status=status)
        case News.AGAIN:
            return _("🔁 {symbol} is traded again.").format(symbol=symbol)
        case News.INTERVAL:
            return _interval(symbol, change, rate(change.symbol), _)
        case News.LIMITS:
            return _("📏 {symbol}: cap and floor are now {now} (were {before}).").format(
                symbol=symbol, now=_limits(after), before=_limits(change.before)
            )
        case News.LISTED:
            return _("🆕 {symbol} is traded now and pays every {hours}.").format(
                symbol=symbol, hours=formats.hours(after.hours * HOUR)
            )


def _interval(symbol: str, change: CatalogChange, rate: Value | None, _: Translate) -> str:
    text = _("⏰ {symbol} now pays every {now} (was {before}).").format(
        symbol=symbol,
        now=formats.hours(change.after.hours * HOUR),
        before=formats.hours(change.before.hours * HOUR),
    )
    if rate is None:
        return text
    return f"{text} " + _("Its rate of {rate} now means {eight} per 8 h.").format(
        rate=formats.percent(rate.approx),
        eight=formats.percent(rate.approx * 8 / change.after.hours),
    )


def _limits(terms: Terms) -> str:
    cap, floor = (
        "?" if limit is None else f"{float(limit * 100):+g} %" for limit in (terms.cap, terms.floor)
    )
    return f"{cap} / {floor}"


def _said(field: str, text: str) -> str:
    """A value as a source sent it; T as the moment that it names."""
    if field in _FIELDS:
        return escape(text)
    if text == "0":
        return "0"
    try:
        return formats.moment(int(text), "UTC")
    except (ValueError, OverflowError, OSError):  # beyond the calendar
        return escape(text)


def _listed(lines: Sequence[str], between: str, _: Translate) -> str:
    shown = list(lines[:MOST_LINES])
    if more := len(lines) - len(shown):
        shown.append(_("+{count} more").format(count=more))
    return between.join(shown)
