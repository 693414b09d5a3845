"""/watch: one line makes a watch; a mistake is shown where it is and changes nothing."""

from dataclasses import replace

import msgspec

from bot.chat.answer import Answer, Call, reply
from bot.chat.spoken import condition_words, option_words
from bot.chat.words import (
    code,
    full_names,
    part_text,
    pointed,
    sign,
    some_of,
    threshold_text,
    unknown_symbol,
)
from bot.chat.world import World
from bot.locale import Translate, formats
from bot.market.reading import Reading
from bot.notify.channel import Button, Written
from bot.notify.markup import escape
from bot.rules.expression import Truth, explain, leaves
from bot.rules.selector import Selection
from bot.rules.watch_line import WatchLine, WatchLineError, parse_watch, watch_text
from bot.store.records import Watch

EXAMPLE = "/watch BTCUSDT rate > 0.05%"
_LONGEST_TITLE, _LONGEST_WORDS = 200, 1_000  # characters; a longer line is in /list as it is
_WRITTEN_OUT = 3  # symbols whose present values are written in full
_Present = list[tuple[Reading, Truth]]


def watch(call: Call, world: World) -> Answer:
    _ = call.translate
    if not call.argument:
        return reply(_usage(_))
    try:
        line = parse_watch(call.argument, timezone=call.chat.timezone, groups=dict(world.groups))
    except WatchLineError as error:
        return reply(_mistake(call, error.column, escape(error.message)))
    unknown = line.selection.unknown_names(world.catalog)
    if unknown:
        column = call.argument.upper().find(unknown[0]) + 1
        example = _("Example: {line}").format(line=code(EXAMPLE))
        text = f"{unknown_symbol(unknown[0], world, _)}\n{example}"
        return reply(_mistake(call, column, text))
    line = replace(line, selection=full_names(line.selection, world.catalog))
    refusal = _refusal(call, world, _text(line))
    return reply(refusal) if refusal else _taken(call, world, line)


def _text(line: WatchLine) -> str:
    return watch_text(line.selection, line.condition, line.options)


def _usage(_: Translate) -> str:
    return (
        _("Say what to watch, and when to tell you:")
        + f"\n{code('/watch BTCUSDT rate > 0.05%')}"
        + f"\n{code('/watch ALL,!*USDC |basis| > 0.5% for 30s')}"
        + f"\n{code('/watch ETHUSDT funding < 15m and rate8h < 0')}\n"
        + _("/help watch explains the language.")
    )


def _mistake(call: Call, column: int, expected: str) -> str:
    """The place, what was expected there, and one example."""
    _ = call.translate
    return (
        _("I cannot read this, at column {column}; nothing was changed:").format(column=column)
        + "\n"
        + pointed(call.argument, column)
        + f"\n{expected}"
    )


def _refusal(call: Call, world: World, text: str) -> str:
    """Why a good line is not taken; "" where it is."""
    _ = call.translate
    watches = world.watches(call.chat.chat_id)
    for known in watches:
        if known.line == text and known.topic == call.request.topic:
            return _("You have this watch already: {number}. Nothing was changed.").format(
                number=f"<b>#{known.number}</b> {code(known.line)}"
            )
    quota = call.access.quota(call.request)
    if quota is not None and len(watches) >= quota:
        return _(
            "This chat has {count} watches, which is all it may have. /list shows them, /unwatch "
            "makes room."
        ).format(count=len(watches))
    return ""


def _taken(call: Call, world: World, line: WatchLine) -> Answer:
    _ = call.translate
    number = call.chat.next_watch
    new = Watch(
        call.chat.chat_id,
        call.request.topic,
        number,
        _text(line),
        world.now,
        call.request.user_id,
    )
    undo = Button(_("Undo"), f"unwatch:{number}")
    return Answer(
        replies=(Written(_confirmation(call, world, line, number), ((undo,),)),),
        watches=(new,),
        chats=(msgspec.structs.replace(call.chat, next_watch=number + 1),),
    )


def _confirmation(call: Call, world: World, line: WatchLine, number: int) -> str:
    _ = call.translate
    present = _present(line, world)
    names = line.selection.names(world.catalog)
    intervals = {reading.interval for reading, _truth in present if reading.value("interval")}
    interval = intervals.pop() if names and len(intervals) == 1 else None
    readings = (threshold_text(leaf, interval, _) for leaf in leaves(line.condition.root))
    title = escape(str(line.selection)[:_LONGEST_TITLE]) if names is None else some_of(names)
    words = condition_words(line.condition, _)
    options = option_words(line.options, call.chat.timezone, _)
    lines = [
        f"<b>#{number}</b> {title}",
        code(line.condition.text),
        *([_told_when(words, _)] if len(words) <= _LONGEST_WORDS else []),
        *(f"· {escape(option)}" for option in options),
        *dict.fromkeys(filter(None, readings)),
        "",
        *_now(line, names, present, _),
    ]
    if world.catalog.contracts is None:
        lines.append(_("The list of contracts is not known yet, so no name was checked."))
    if call.chat.muted_until > world.now:
        until = formats.moment(call.chat.muted_until, call.chat.timezone)
        lines.append(_("This chat is muted until {time}.").format(time=until))
    return "\n".join(lines)


def _told_when(words: str, _: Translate) -> str:
    return _("You are told when {condition}.").format(condition=escape(words))


def _present(line: WatchLine, world: World) -> _Present:
    """The selected symbols that rows have come of, with the condition's truth on each."""
    return [
        (reading, line.condition.evaluate(reading)[0])
        for reading in world.readings()
        if _selects(line.selection, reading, world)
    ]


def _selects(selection: Selection, reading: Reading, world: World) -> bool:
    funded = reading.tick.next_funding_time > 0
    return selection.selects(reading.tick.symbol, world.catalog, funded=funded)


def _now(line: WatchLine, names: list[str] | None, present: _Present, _: Translate) -> list[str]:
    """How things stand: in full for a few named symbols, in numbers for many."""
    if names is None or len(names) > _WRITTEN_OUT:
        return [_counted(present, _)]
    known = {reading.tick.symbol: (reading, truth) for reading, truth in present}
    lines = []
    for name in names:
        if name not in known:
            lines.append(_("No row of {symbol} has come yet.").format(symbol=code(name)))
            continue
        reading, truth = known[name]
        lines.append(f"{sign(truth)} <b>{escape(name)}</b> {_verdict(line, reading, truth, _)}")
        lines += [part_text(part, _) for part in explain(line.condition, reading)]
    return lines


def _verdict(line: WatchLine, reading: Reading, truth: Truth, _: Translate) -> str:
    if truth is None:
        if reading.stale:
            return _("not known now: no fresh row")
        if line.condition.is_instant:
            return _("not crossed yet")
        return _("not known yet")
    if not truth:
        return _("not true now")
    if line.options.hold:
        return _("already true; it must stay so for {time}").format(
            time=formats.duration(line.options.hold)
        )
    return _("already true: the alert comes with the next row")


def _counted(present: _Present, _: Translate) -> str:
    true = [reading.tick.symbol for reading, truth in present if truth]
    text = _("{count} symbols with rows, true now on {true}").format(
        count=len(present), true=len(true)
    )
    return f"{text}: {some_of(true)}" if true else text
