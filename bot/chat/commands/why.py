"""/why: how each rule of the chat stands on a symbol, part by part, and what it waits for."""

from bot.alerts.lifecycle import Phase, Reason
from bot.alerts.look import Look
from bot.chat.answer import Answer, Call, reply
from bot.chat.words import code, find_symbol, not_traded, pages_of, part_text, unknown_symbol
from bot.chat.world import World
from bot.locale import Translate, formats
from bot.notify.markup import escape
from bot.rules.rule import Rule

_MOST = 20  # rules that are written out
_LAST_MOMENT = 250 * 10**12  # ms, the year 9892: a cooldown may be longer than any calendar


def why(call: Call, world: World) -> Answer:
    """Also the button `why:<symbol>` under an alert."""
    _ = call.translate
    if not call.argument:
        return reply(_("Say which symbol: {line}").format(line=code("/why BTCUSDT")))
    symbol = find_symbol(call.argument, world)
    if symbol is None:
        return reply(unknown_symbol(call.argument, world, _))
    gone = not_traded(symbol, world, _)
    if gone:
        return reply(gone)
    reading = world.reading(symbol)
    if reading is None:
        return reply(_("No row of {symbol} has come yet.").format(symbol=code(symbol)))
    funded = reading.tick.next_funding_time > 0
    rules = [
        rule
        for rule in world.rules(call.chat.chat_id)
        if rule.selection.selects(symbol, world.catalog, funded=funded)
    ]
    if not rules:
        return reply(_("Nothing in this chat watches {symbol}.").format(symbol=code(symbol)))
    blocks = [_block(rule, world.look(rule, symbol), call, world) for rule in rules]
    page = pages_of(blocks, _MOST)[0]
    if len(page) < len(blocks):
        page.append(_("and {count} more rules").format(count=len(blocks) - len(page)))
    title = f"<b>{escape(symbol)}</b>"
    if reading.stale:
        age = formats.duration(world.now - reading.tick.event_time)
        title += " · " + _("last row {time} ago").format(time=age)
    return reply("\n\n".join((title, *page)))


def _block(rule: Rule, look: Look | None, call: Call, world: World) -> str:
    _ = call.translate
    name = f"#{rule.id.rpartition(':')[2]}" if rule.id.startswith("watch:") else f"📄 {rule.name}"
    lines = [f"<b>{escape(name)}</b> {code(rule.text)}"]
    if look is None:
        return "\n".join((*lines, _("not evaluated yet: no row since it was made")))
    lines += [part_text(part, _) for part in look.parts]
    lines.append(_state_words(look, world.now, _))
    lines.append("→ " + _reason_words(look, call.chat.timezone, _))
    return "\n".join(lines)


def _state_words(look: Look, now: int, _: Translate) -> str:
    texts = {
        Phase.IDLE: _("off"),
        Phase.PENDING: _("true for {time}, not fired yet"),
        Phase.FIRING: _("🔴 firing for {time}"),
        Phase.RECOVERING: _("🟡 on for {time}, about to be over"),
    }
    time = formats.duration(max(now - look.state.since, 0))
    return texts[look.state.phase].format(time=time)


def _reason_words(look: Look, zone: str, _: Translate) -> str:
    options, state = look.rule.options, look.state
    texts = {
        Reason.NOT_MET: _("waits for it to become true"),
        Reason.UNKNOWN: _("a value is unknown, so nothing is decided"),
        Reason.STALE: _("no fresh row; stale data decides nothing"),
        Reason.HOLDING: _("fires once it has been true for {hold}"),
        Reason.FIRED: _("the alert goes out"),
        Reason.COOLING_DOWN: _("not told before {cooled}, because of the cooldown"),
        Reason.ALREADY_TOLD: _("told at {told}; waits for it to be over"),
        Reason.REMINDED: _("a reminder goes out"),
        Reason.KEEPING: _("over once it has been so for {keep}"),
        Reason.BACK_ON: _("true again before it was over"),
        Reason.RESOLVED: _("over; the message goes out"),
        Reason.RESOLVED_SILENTLY: _("over, without a message"),
        Reason.ENDED: _("ended: it was to be told once, or its time is up"),
    }
    return texts[look.reason].format(
        hold=formats.duration(options.hold),
        keep=formats.duration(options.keep),
        cooled=formats.moment(min(state.fired_at + options.cooldown, _LAST_MOMENT), zone),
        told=formats.moment(state.told_at, zone),
    )
