"""/funding: what one symbol pays, when, and at which prices."""

from bot.chat.answer import Answer, Call, reply
from bot.chat.words import code, find_symbol, unknown_symbol
from bot.chat.world import World
from bot.locale import Translate, formats
from bot.market.reading import HOUR, Reading
from bot.notify.markup import escape

_PRICES = ("mark", "index", "settle")


def funding(call: Call, world: World) -> Answer:
    _ = call.translate
    if not call.argument:
        return reply(_("Say which symbol: {line}").format(line=code("/funding BTC")))
    symbol = find_symbol(call.argument, world)
    if symbol is None:
        return reply(unknown_symbol(call.argument, world, _))
    reading = world.reading(symbol)
    if reading is None:
        return reply(_("No row of {symbol} has come yet.").format(symbol=code(symbol)))
    lines = [f"<b>{escape(symbol)}</b>"]
    if reading.stale:
        age = formats.duration(world.now - reading.tick.event_time)
        lines.append(_("No fresh row for {time}; the last one said:").format(time=age))
        reading = _as_of_its_row(reading)
    lines += _rate_lines(reading, _)
    lines += _price_lines(reading, _)
    lines += _time_lines(reading, call.chat.timezone, world.now, _)
    return reply("\n".join(lines))


def _as_of_its_row(reading: Reading) -> Reading:
    """What was known when the last row came."""
    return Reading(
        reading.tick,
        reading.tick.event_time,
        interval=reading.interval,
        funding_info=reading.funding_info,
    )


def _rate_lines(reading: Reading, _: Translate) -> list[str]:
    rate, rate8h, apr = map(reading.value, ("rate", "rate8h", "apr"))
    if rate is None or rate8h is None or apr is None:
        return [_("Funding rate: unknown")]
    readings = [_per(formats.percent(rate.approx), reading.interval, _)]
    if reading.interval != 8 * HOUR:
        readings.append(_per(formats.percent(rate8h.approx), 8 * HOUR, _))
    readings.append(_("{percent} APR").format(percent=formats.annual(apr.approx)))
    lines = [_("Funding rate: {rate}").format(rate=" = ".join(readings))]
    cap, info = reading.value("cap"), reading.funding_info
    limit = None if info is None else info.cap if rate.approx >= 0 else info.floor
    if cap is not None and limit is not None:
        lines.append(
            _("Cap use: {share} of {limit}").format(
                share=formats.annual(cap.approx), limit=formats.percent(limit.approx)
            )
        )
    return lines


def _per(percent: str, interval: int, _: Translate) -> str:
    return _("{percent} per {hours}").format(percent=percent, hours=formats.hours(interval))


def _price_lines(reading: Reading, _: Translate) -> list[str]:
    basis = reading.value("basis")
    texts = {
        "mark": _("Mark: {price}"),
        "index": _("Index: {price}"),
        "settle": _("Estimated settle price: {price}"),
    }
    lines = [
        texts[field].format(price=formats.price(getattr(reading.tick, field)))
        for field in _PRICES
        if reading.value(field) is not None
    ]
    if basis is not None:
        lines.insert(0, _("Basis: {percent}").format(percent=formats.percent(basis.approx)))
    return lines


def _time_lines(reading: Reading, zone: str, now: int, _: Translate) -> list[str]:
    until = reading.tick.next_funding_time
    if not until:
        return [_("It pays no funding.")]
    if until < now:
        return [_("Funding was due at {clock}").format(clock=formats.clock(until, zone))]
    return [
        _("Funding in {time}, at {clock}").format(
            time=formats.duration(until - now), clock=formats.clock(until, zone)
        )
    ]
