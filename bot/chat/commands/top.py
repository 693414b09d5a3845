"""/top: the highest and the lowest funding per 8 h, in a table that fits a phone."""

from bot.chat.answer import Answer, Call, reply
from bot.chat.words import code, fitted
from bot.chat.world import World
from bot.market.number import Value
from bot.market.reading import HOUR, Reading
from bot.notify.markup import escape

_COUNT, _MOST = 5, 20
_SYMBOL = 15  # columns; with the rate's 11, the interval's 5 and the gaps: 33 of 34
_RATE = 11
_HOURS = 5


def top(call: Call, world: World) -> Answer:
    _ = call.translate
    argument = call.argument
    if argument and not (argument.isascii() and argument.isdecimal() and _size(argument) >= 1):
        return reply(
            _("Say how many, 1 to {most}: {line}").format(most=_MOST, line=code("/top 10"))
        )
    rated = _rated(world)
    if not rated:
        return reply(_("No funding rate is known yet."))
    count = min(_size(argument) if argument else _COUNT, _MOST)
    title = _("Funding per 8 h, of {count} symbols").format(count=len(rated))
    lowest = rated[: -count - 1 : -1] if len(rated) > count else []
    blocks = [f"<b>{title}</b>", _table(_("Highest"), rated[:count])]
    if lowest:
        blocks.append(_table(_("Lowest"), lowest))
    return reply("\n".join(blocks))


def _size(argument: str) -> int:
    return int(argument[:4])


def _rated(world: World) -> list[tuple[Value, Reading]]:
    """The symbols with a known rate, highest first, equal ones by name."""
    rates = ((reading.value("rate8h"), reading) for reading in world.readings())
    known = [(rate, reading) for rate, reading in rates if rate is not None]
    return sorted(known, key=lambda pair: (-pair[0].approx, pair[1].tick.symbol))


def _table(title: str, rows: list[tuple[Value, Reading]]) -> str:
    lines = [f"{fitted(title, _SYMBOL)} {'8 h':>{_RATE}}"]
    lines += [
        f"{fitted(reading.tick.symbol, _SYMBOL)} {f'{rate.approx * 100:+.4f} %':>{_RATE}}"
        f" {f'{reading.interval // HOUR} h':>{_HOURS}}"
        for rate, reading in rows
    ]
    return f"<pre>{escape(chr(10).join(lines))}</pre>"
