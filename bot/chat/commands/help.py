"""/help: the commands in groups; the rule language; and a hint for plain text."""

from bot.chat.answer import Answer, Call, reply
from bot.chat.spoken import field_words
from bot.chat.words import code
from bot.chat.world import World
from bot.locale import Translate
from bot.notify.markup import escape
from bot.rules.watch_line import WatchLineError, parse_watch

_SIGNS = ("<", ">", "≥", "≤", "＜", "＞", "crosses")


def help_(call: Call, _world: World) -> Answer:
    _ = call.translate
    if call.argument.lower().lstrip("/").startswith("watch"):
        return reply(_language(_))
    groups = {
        _("Watching"): {
            "/watch": _("be told when something becomes true"),
            "/unwatch": _("stop, by number, symbol or all"),
            "/list": _("what is watched here, and what is firing"),
            "/why": _("how each rule stands on a symbol"),
        },
        _("Looking"): {
            "/funding": _("rate, basis, prices and countdown of a symbol"),
            "/top": _("the highest and lowest rates"),
        },
        _("Quiet"): {
            "/mute": _("no alerts for an hour, or as long as you say"),
            "/unmute": _("alerts again"),
            "/resume": _("a rule that was paused for telling too much goes on"),
        },
        _("The bot"): {
            "/status": _("how the data and the bot fare"),
            "/test": _("a sample alert"),
            "/id": _("your id and this chat's"),
            "/start": _("what this bot is"),
            "/help": _("this page"),
        },
    }
    blocks = [
        "\n".join((f"<b>{title}</b>", *(f"{name} {text}" for name, text in rows.items())))
        for title, rows in groups.items()
    ]
    return reply("\n\n".join((*blocks, _("/help watch explains the language."))))


def _language(_: Translate) -> str:
    """The rule language on one page."""
    examples = {
        "/watch BTCUSDT rate > 0.05%": _("one symbol, one threshold"),
        "/watch ALL,!*USDC rate8h > 0.1% for 30s": _("all but some, held for 30 s"),
        "/watch BTC,ETH |basis| > 0.5% clear 0.4%": _("over only below 0.4 %"),
        "/watch ETH funding < 15m and rate < 0": _("two conditions"),
        "/watch BTC change(mark, 1h) < -3% cooldown 2h": _("a window; at most once in 2 h"),
        "/watch BTC rate crosses 0": _("an instant: never over"),
        "/watch SOL mark > 250 once": _("once, and done"),
    }
    title, heading = _("SYMBOLS CONDITION OPTIONS"), _("Fields")
    fields = (f"{code(name)} {escape(text)}" for name, text in field_words(_).items())
    return "\n".join(
        (
            f"<b>/watch {title}</b>",
            *(f"{code(line)}\n   {escape(text)}" for line, text in examples.items()),
            "",
            f"<b>{heading}</b>",
            *fields,
            "",
            _("Symbols: names, {globs}, {classes}, groups as {group}; {exclude} excludes.").format(
                globs=code("*USDC"),
                classes=code("ALL perp tradfi quarterly"),
                group=code("@majors"),
                exclude=code("!"),
            ),
            _("Join conditions with {words}; windows: {windows}.").format(
                words=code("and or not ( )"), windows=code("change min max avg")
            ),
            _("Options: {words}.").format(
                words=code("for clear keep cooldown repeat once until severity quiet resolved note")
            ),
        )
    )


def hint(call: Call, world: World) -> Answer:
    """Plain text in a private chat: probably a watch without its command, or a question."""
    _ = call.translate
    text = call.argument
    try:
        parse_watch(text, timezone=call.chat.timezone, groups=dict(world.groups))
    except WatchLineError:
        if not any(sign in text.lower() for sign in _SIGNS):
            return reply(_("I understand commands only; /help shows them."))
        example = code("/watch BTCUSDT rate > 0.05%")
        return reply(_("To watch something, begin with /watch: {line}").format(line=example))
    return reply(_("To watch this, send: {line}").format(line=code(f"/watch {text}"[:1_000])))
