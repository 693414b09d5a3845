"""/status: how the program fares, in words."""

from bot.chat.answer import Answer, Call, reply
from bot.chat.world import Status, World
from bot.locale import Translate, formats
from bot.notify.markup import escape


def status(call: Call, world: World) -> Answer:
    """Everybody hears of the market's data; the admins also of the program behind it."""
    _ = call.translate
    present = world.status()
    lines = _feed_lines(present, world.now, _)
    if call.access.is_admin(call.request):
        lines += _program_lines(present, world.now, _)
    return reply("\n".join(lines))


def _feed_lines(present: Status, now: int, _: Translate) -> list[str]:
    feeds = {
        "connected": _("✅ Feed: rows arrive"),
        "connecting": _("⏳ Feed: connecting"),
        "silent": _("❌ Feed: silent"),
    }
    lines = [feeds.get(present.feed, escape(present.feed))]
    if present.last_row_at is None:
        lines.append(_("Last row: none yet"))
    else:
        lines.append(_("Last row: {time} ago").format(time=_ago(now, present.last_row_at)))
    lines.append(
        _("Symbols: {count}, {stale} of them stale").format(
            count=present.symbols, stale=present.stale
        )
    )
    return lines


def _program_lines(present: Status, now: int, _: Translate) -> list[str]:
    polled = present.last_poll_at
    return [
        _("Rules: {rules} of the file, {watches} watches, {firing} firing").format(
            rules=present.file_rules, watches=present.watches, firing=present.firing
        ),
        _("Waiting to be sent: {count}").format(count=present.waiting),
        _("Telegram: no answer yet")
        if polled is None
        else _("Telegram: answered {time} ago").format(time=_ago(now, polled)),
        _("Version {version}, running for {time}").format(
            version=escape(present.version), time=_ago(now, present.started_at)
        ),
        *(f"❌ {escape(fault)}" for fault in present.faults[:10]),
    ]


def _ago(now: int, then: int) -> str:
    return formats.duration(max(now - then, 0))
