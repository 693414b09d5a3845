"""/status: how the data and the program fare, in words that fit a phone."""

from collections.abc import Sequence

from bot.chat.answer import Answer, Call, reply
from bot.chat.world import (
    FeedView,
    PausedRule,
    RecordingView,
    SecondView,
    SenderView,
    Status,
    World,
)
from bot.locale import Translate, formats
from bot.locale.reasons import reason
from bot.notify.markup import escape, plain_text
from bot.notify.port import DATABASE, TOKEN, UNREACHABLE

NAMED = 5  # symbols and streams that are named; of more, the number
NOTABLE_SKEW, NOTABLE_LAG = 1_000, 5_000  # ms
_FAULTS, _FAULT_LENGTH = 10, 300  # shown; characters of each
_PAUSED = 10  # shown


def status(call: Call, world: World) -> Answer:
    """Everybody hears of the market's data; the admins also of the program behind it."""
    _ = call.translate
    present = world.status()
    lines = [*_feed_lines(present.feed, _), *_symbol_lines(present.feed, _)]
    lines += [_paused_line(rule, _) for rule in world.paused(call.chat.chat_id)[:_PAUSED]]
    if call.access.is_admin(call.request):
        lines += _connection_lines(present.feed, _)
        lines += ["", *_sender_lines(present.sender, _)]
        lines += [*_recording_lines(present.recording, _), *_program_lines(present, _)]
        lines += [_fault_line(words(_)) for words in present.faults[:_FAULTS]]
    return reply("\n".join(lines))


def _feed_lines(feed: FeedView, _: Translate) -> list[str]:
    states = {
        "flows": _("✅ Feed: rows arrive"),
        "silent": _("❌ Feed: connected, but silent"),
        "connecting": _("⏳ Feed: connecting"),
        "waiting": _("❌ Feed: not connected, next attempt in {time}").format(
            time=formats.duration(feed.next_connect or 0)
        ),
    }
    lines = [states[feed.state]]
    if feed.problem:
        lines.append(_("Why: {reason}").format(reason=escape(reason(feed.problem, _))))
    if feed.row_age is None:
        lines.append(_("Last row: none yet"))
    else:
        lines.append(_("Last row: {time} ago").format(time=formats.duration(feed.row_age)))
    if feed.state == "flows":
        lines.append(_("Rows per second: {rate}").format(rate=_rate(feed.rows_per_second)))
    if feed.state == "flows" and feed.lag is not None:
        sign = "⚠️ " if feed.lag > NOTABLE_LAG else ""
        lines.append(sign + _("Lag: {seconds} s").format(seconds=_seconds(max(feed.lag, 0))))
    if feed.skew is not None and abs(feed.skew) > NOTABLE_SKEW:
        ahead = _("The clock here is {seconds} s ahead of the venue's")
        behind = _("The clock here is {seconds} s behind the venue's")
        skewed = ahead if feed.skew > 0 else behind
        lines.append("⚠️ " + skewed.format(seconds=_seconds(abs(feed.skew))))
    return lines


def _symbol_lines(feed: FeedView, _: Translate) -> list[str]:
    lines = [_("Symbols: {count}").format(count=feed.symbols)]
    all_by_rest = feed.state != "flows" and 0 < feed.symbols == len(feed.by_rest)
    if all_by_rest:
        lines.append(_("⚠️ Values by REST meanwhile, of all of them"))
    for names, text in (
        (feed.stale, _("⚠️ Stale: {names}")),
        (
            () if all_by_rest else feed.by_rest,
            _("⚠️ Silent in the stream, values by REST: {names}"),
        ),
        (feed.gone, _("⚠️ Not traded: {names}")),
        (feed.unanswered, _("⚠️ Acknowledged by the venue, but silent: {names}")),
    ):
        if names:
            lines.append(text.format(names=_names(names)))
    return lines


def _connection_lines(feed: FeedView, _: Translate) -> list[str]:
    lines = [
        _("Connection: open for {time}, streams: {count}").format(
            time=formats.duration(link.age), count=link.streams
        )
        for link in feed.links
    ]
    if feed.reconnect_age is not None:
        age = formats.duration(feed.reconnect_age)
        lines.append(_("Last reconnect: {time} ago").format(time=age))
        if feed.reconnect_reason not in ("", feed.problem):
            lines.append(_("Why: {reason}").format(reason=escape(reason(feed.reconnect_reason, _))))
    if feed.handover_age is not None:
        age = formats.duration(feed.handover_age)
        lines.append(_("Last handover to a new connection: {time} ago").format(time=age))
    if feed.catalog_age is None:
        lines.append(_("Contracts and intervals: not known yet"))
    else:
        age = formats.duration(feed.catalog_age)
        lines.append(_("Contracts and intervals: taken {time} ago").format(time=age))
    return lines


def _sender_lines(sender: SenderView, _: Translate) -> list[str]:
    blocks = {
        DATABASE: _("the database cannot be written"),
        UNREACHABLE: _("Telegram cannot be reached"),
        TOKEN: _("Telegram refuses the token"),
    }
    if sender.blocked:
        head = "❌ " + _("Sending: {reasons}").format(
            reasons="; ".join(blocks.get(kind, escape(kind)) for kind in sender.blocked)
        )
    elif sender.is_well:
        head = _("✅ Sending: messages can be sent")
    else:
        head = _("❌ Sending: Telegram does not answer")
    lines = [head]
    if sender.is_telegram and sender.answer_age is None:
        lines.append(_("Telegram: no answer yet"))
    elif sender.answer_age is not None and not sender.is_well:
        age = formats.duration(sender.answer_age)
        lines.append(_("Telegram: answered {time} ago").format(time=age))
    if sender.sent_age is None:
        lines.append(_("Last message: none since the start"))
    else:
        lines.append(_("Last message: {time} ago").format(time=formats.duration(sender.sent_age)))
    lines.append(_("Waiting to be sent: {count}").format(count=sender.waiting))
    return lines + ([] if sender.second is None else _second_lines(sender.second, _))


def _second_lines(second: SecondView, _: Translate) -> list[str]:
    texts = {True: _("Second channel: in use, {count} copied"), False: _("Second channel: ready")}
    lines = [texts[second.in_use].format(count=second.copied)]
    if second.failing:
        text = _("❌ Second channel: entry {numbers} of FALLBACK_URLS fails")
        lines.append(text.format(numbers=", ".join(map(str, second.failing))))
    return lines


def _program_lines(present: Status, _: Translate) -> list[str]:
    return [
        _("Rules: {rules} of the file, {watches} watches, {firing} firing").format(
            rules=present.file_rules, watches=present.watches, firing=present.firing
        ),
        _("Version {version}, running for {time}").format(
            version=escape(present.version), time=formats.duration(present.running)
        ),
    ]


def _recording_lines(recording: RecordingView | None, _: Translate) -> list[str]:
    if recording is None:
        return [_("Recording: off")]
    size = f"{recording.size / 1e6:.1f}"
    lines = [_("Recording: {file}, {size} MB").format(file=escape(recording.file), size=size)]
    if recording.missed:
        lines.append(_("⚠️ Entries that it lacks: {count}").format(count=recording.missed))
    if recording.problem:
        text = _("❌ It cannot be written: {reason}")
        lines.append(text.format(reason=escape(recording.problem)))
    return lines


def _paused_line(rule: PausedRule, _: Translate) -> str:
    one, more = (
        _("⏸ {name} is paused here, 1 alert held: /resume"),
        _("⏸ {name} is paused here, {count} alerts held: /resume"),
    )
    text = one if rule.held == 1 else more
    return text.format(name=escape(rule.name), count=rule.held)


def _fault_line(html: str) -> str:
    """A fault in one line; its own sign comes with it."""
    line = " ".join(plain_text(html).split())
    return escape(line if len(line) <= _FAULT_LENGTH else line[: _FAULT_LENGTH - 1] + "…")


def _names(names: Sequence[str]) -> str:
    """`3 (A, B, C)`: how many, and the first few."""
    more = ", …" if len(names) > NAMED else ""
    return f"{len(names)} ({escape(', '.join(names[:NAMED]))}{more})"


def _rate(rows: float) -> str:
    return f"{rows:.0f}" if rows >= 10 else f"{rows:.1f}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f}"
