"""/start, /id and /test: first contact."""

from bot.alerts.event import Event, event_of
from bot.alerts.lifecycle import Kind, State
from bot.chat.answer import Answer, Call, reply
from bot.chat.world import World
from bot.locale import formats
from bot.market.reading import DEFAULT_INTERVAL, Reading
from bot.market.tick import Tick
from bot.rules.parser import parse_condition
from bot.rules.rule import Options, Rule
from bot.rules.selector import Selection


def start(call: Call, _world: World) -> Answer:
    _ = call.translate
    return reply(
        _(
            "I watch Binance futures: funding rates, basis and prices. You get one message when "
            "something becomes true, one when it is over, none in between unless you ask."
        )
        + "\n\n"
        + _("Try it:")
        + "\n<code>/watch BTCUSDT rate &gt; 0.05%</code>\n<code>/funding BTC</code>\n\n"
        + _("/help shows everything.")
    )


def claimed(call: Call) -> Answer:
    """The answer to the right one-time code; the app makes the claim last."""
    _ = call.translate
    text = _(
        "You are the admin of this bot now, and the code is used up. The bot is private: it "
        "answers nobody else. /help shows what it can do."
    )
    return Answer(replies=reply(text).replies, claim=call.request.user_id)


def say_id(call: Call, _world: World) -> Answer:
    _ = call.translate
    request = call.request
    lines = []
    if request.user_id:
        lines.append(_("You: {code}").format(code=f"<code>{request.user_id}</code>"))
    else:
        lines.append(_("You write anonymously: Telegram does not say who you are."))
    if request.chat_id != request.user_id:
        lines.append(_("This chat: {code}").format(code=f"<code>{request.chat_id}</code>"))
    if request.topic is not None:
        lines.append(_("This topic: {code}").format(code=f"<code>{request.topic}</code>"))
    return reply("\n".join(lines))


def test(call: Call, world: World) -> Answer:
    _ = call.translate
    if call.chat.muted_until > world.now:
        until = formats.moment(call.chat.muted_until, call.chat.timezone)
        muted = _("This chat is muted until {time}.").format(time=until)
        return reply(f"{muted} " + _("/unmute ends it."))
    note = _("This is a test: the figures are made up, the way they came is the real one.")
    return Answer(sample=sample_event(world.now, note))


def sample_event(now: int, note: str) -> Event:
    """A firing as it would look, of a made-up rule on a made-up market."""
    until = now - now % DEFAULT_INTERVAL + DEFAULT_INTERVAL
    tick = Tick("BTCUSDT", now, "100050.0", "100000.0", "", "0.00061200", until)
    rule = Rule(
        "test",
        "test",
        Selection((tick.symbol,)),
        parse_condition("rate > 0.05%"),
        Options(note=note),
    )
    return event_of(rule, Reading(tick, now), Kind.FIRED, State(since=now), already=False)
