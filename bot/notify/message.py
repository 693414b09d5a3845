"""What happened, written for a reader: one alert in full, a few together, or many as a table."""

from collections.abc import Sequence

import msgspec

from bot.alerts.event import Event, Snapshot
from bot.alerts.lifecycle import Kind
from bot.locale import Translate, formats, translator
from bot.notify.channel import Written
from bot.notify.item import Item, Reader
from bot.notify.keyboard import alert_keyboard, table_keyboard
from bot.notify.markup import escape, plain_text
from bot.notify.storm import FIRINGS
from bot.notify.table import FLAPPING, table, totals
from bot.notify.term import field_of, term_text
from bot.rules.rule import Severity

IN_FULL = 3  # alerts of one message; more become a table
LATE = 60_000  # ms after which a message says how late it is
_RATES = ("rate", "rate8h", "apr")
_SIGNS = {Severity.INFO: "🔔", Severity.WARNING: "⚠️", Severity.CRITICAL: "🚨"}


def write(items: Sequence[Item], reader: Reader, reply_to: int | None = None) -> Written:
    """One message of one or more alerts, in the order given: up to 3 in full, else a table."""
    translate = translator(reader.language)
    silent = all(item.event.quiet for item in items)
    if len(items) == 1:
        text = _alert(items[0], reader, translate)
        buttons = alert_keyboard(items[0].event, translate)
        return Written(text, buttons, silent, reply_to)
    if len(items) <= IN_FULL:
        text = "\n\n".join(_alert(item, reader, translate) for item in items)
        return Written(text, table_keyboard(0, None, translate), silent, reply_to)
    return _table(items, translate, silent)


def plain(written: Written) -> Written:
    """The same message without markup, for a server that refuses it."""
    return msgspec.structs.replace(written, text=plain_text(written.text), plain=True)


def doubt_mark(doubt: str, translate: Translate) -> str:
    """The visible mark of a message that may have arrived before."""
    return translate("♻️ Possible repeat #{id}").format(id=doubt)


def late_mark(late: int, translate: Translate) -> str:
    return translate("⏱ {duration} late").format(duration=formats.duration(late))


def rate_text(snapshot: Snapshot, translate: Translate) -> str:
    """`+0.0612 % per 8 h = 67.0 % APR`; "" where the rate is unknown."""
    if snapshot.rate is None:
        return ""
    if snapshot.interval is None or snapshot.apr is None:
        return formats.percent(snapshot.rate)
    return translate("{rate} per {interval} = {apr} APR").format(
        rate=formats.percent(snapshot.rate),
        interval=formats.hours(snapshot.interval),
        apr=formats.annual(snapshot.apr),
    )


def _table(items: Sequence[Item], translate: Translate, silent: bool) -> Written:
    page = table(items, 0)
    lines = [f"🔔 <b>{totals(items, translate)}</b>", page.text]
    if page.left:
        lines.append(translate("+{count} more").format(count=page.left))
    rules = list(dict.fromkeys(escape(item.event.rule) for item in items))
    names = ", ".join(rules[:5]) + (f" +{len(rules) - 5}" if len(rules) > 5 else "")
    lines.append(translate("Rules: {names}").format(names=names))
    if any(item.flapping for item in items):
        lines.append(f"{FLAPPING} {_flapping(translate)}")
    doubt = next((item.doubt for item in items if item.doubt), "")
    if doubt:
        lines.append(translate("♻️ Rows with ? are possible repeats #{id}").format(id=doubt))
    late = max(item.late for item in items)
    if late >= LATE:
        lines.append(late_mark(late, translate))
    return Written("\n".join(lines), table_keyboard(page.left, page.next_row, translate), silent)


def _alert(item: Item, reader: Reader, translate: Translate) -> str:
    event = item.event
    lines = [
        _headline(event, translate),
        f"<code>{escape(event.condition)}</code>",
        *_market(event, translate),
        _funding(event, item.late, reader, translate),
        _rule(event, translate),
    ]
    if event.note:
        lines.append(f"📝 {escape(event.note)}")
    if item.flapping:
        lines.append(f"⚡ {_flapping(translate)}")
    if item.late >= LATE:
        lines.append(late_mark(item.late, translate))
    if item.doubt:
        lines.append(doubt_mark(item.doubt, translate))
    return "\n".join(filter(None, lines))


def _headline(event: Event, translate: Translate) -> str:
    symbol = f"<b>{escape(event.symbol)}</b>"
    lasted = formats.duration(event.at - event.since)
    if event.kind is Kind.FIRED:
        return f"{_SIGNS[event.severity]} {symbol} <b>{_value(event, translate)}</b>"
    if event.kind is Kind.REMINDED:
        still = translate("still on, for {duration}").format(duration=lasted)
        return f"🔁 {symbol} <b>{_value(event, translate)}</b> · {still}"
    over = translate("over after {duration}").format(duration=lasted)
    if event.peak is None:
        return f"✅ {symbol} {over}"
    peak = translate("peak {value}").format(value=term_text(event.headline, event.peak))
    return f"✅ {symbol} {over} · {peak}\n{_now(event, translate)}"


def _now(event: Event, translate: Translate) -> str:
    return translate("Now: {value}").format(value=_value(event, translate))


def _value(event: Event, translate: Translate) -> str:
    """The value that matters most, with its name unless it is the rate."""
    name = _signed(event)
    if name in _RATES:
        return _rate(event, translate) or translate("rate unknown")
    if event.headline == "|basis|" and event.snapshot.basis is not None:
        return f"basis {formats.percent(event.snapshot.basis)}"
    if event.value is None:
        return translate("{term} unknown").format(term=escape(event.headline))
    text = term_text(event.headline, event.value)
    if event.headline == "funding":
        return translate("funding in {duration}").format(duration=text)
    return f"{escape(event.headline)} {text}"


def _signed(event: Event) -> str:
    """The headline's term; of a magnitude the field itself, for its sign is worth knowing."""
    return event.headline.strip("|")


def _rate(event: Event, translate: Translate) -> str:
    """The rate, and what it is in 8 hours where a rule on that has another interval before it."""
    text, eight = rate_text(event.snapshot, translate), event.snapshot.rate8h
    if not text or eight is None or _signed(event) != "rate8h" or eight == event.snapshot.rate:
        return text
    return f"{text} · rate8h {formats.percent(eight)}"


def _market(event: Event, translate: Translate) -> list[str]:
    """Rate, mark, index and basis, those that the headline does not show; unknown ones are out."""
    snapshot = event.snapshot
    lines = []
    rate = rate_text(snapshot, translate)
    if _signed(event) not in _RATES and snapshot.next_funding_time:
        lines.append(translate("Rate {rate}").format(rate=rate or translate("unknown")))
    parts = []
    if mark := formats.price(snapshot.mark):
        parts.append(translate("mark {price}").format(price=mark))
    if index := formats.price(snapshot.index):
        parts.append(translate("index {price}").format(price=index))
    if snapshot.basis is not None and field_of(event.headline) != "basis":
        parts.append(translate("basis {ratio}").format(ratio=formats.percent(snapshot.basis)))
    return [*lines, " · ".join(parts)]


def _funding(event: Event, late: int, reader: Reader, translate: Translate) -> str:
    """The time to funding as it stands for the reader, by the venue's clock."""
    until = event.snapshot.next_funding_time
    if not until:
        return ""
    left = until - event.at - (late if late >= LATE else 0)
    clock = formats.clock(until, reader.timezone)
    if left < 0:
        return translate("Funding was at {clock}").format(clock=clock)
    text = translate("Funding in {duration} ({clock})")
    return text.format(duration=formats.countdown(left), clock=clock)


def _rule(event: Event, translate: Translate) -> str:
    text = translate("Rule {name}").format(name=escape(event.rule))
    if event.already and event.kind is Kind.FIRED:
        text += " · " + translate("already true when the rule started")
    return text


def _flapping(translate: Translate) -> str:
    text = translate("Fired {count} times within an hour: from here on a summary every 15 min")
    return text.format(count=FIRINGS + 1)
