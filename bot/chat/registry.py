"""Every command and every button: who may use it, what the menu says, and who answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.chat.access import Need
from bot.chat.answer import Handler
from bot.chat.commands import (
    funding,
    help,  # noqa: A004 - the command's name
    listing,
    more,
    mute,
    resume,
    start,
    status,
    top,
    unwatch,
    watch,
    why,
)
from bot.locale import ENGLISH, Translate, languages, translator


@dataclass(frozen=True, slots=True)
class Command:
    """Who may use a command, who answers it, and its arguments as the table shows them."""

    need: Need
    handler: Handler
    usage: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """Who may press a button, who answers it, and what follows `name:` in its data."""

    need: Need
    handler: Handler
    argument: str
    does: str  # in English, for the table


# In the order of the menu.
COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "watch": Command(Need.CHANGE, watch.watch, "SYMBOLS CONDITION [OPTION…]"),
        "unwatch": Command(Need.CHANGE, unwatch.unwatch, "ID|SYMBOL|all"),
        "list": Command(Need.LOOK, listing.listing),
        "why": Command(Need.LOOK, why.why, "SYMBOL"),
        "funding": Command(Need.LOOK, funding.funding, "SYMBOL"),
        "top": Command(Need.LOOK, top.top, "[N]"),
        "mute": Command(Need.CHANGE, mute.mute, "[DURATION]"),
        "unmute": Command(Need.CHANGE, mute.unmute),
        "resume": Command(Need.CHANGE, resume.resume, "[NAME|ID]"),
        "status": Command(Need.LOOK, status.status),
        "test": Command(Need.CHANGE, start.test),
        "id": Command(Need.ID, start.say_id),
        "help": Command(Need.LOOK, help.help_, "[watch]"),
        "start": Command(Need.LOOK, start.start, "[CODE]"),
    }
)

BUTTONS: Mapping[str, Press] = MappingProxyType(
    {
        "why": Press(Need.LOOK, why.why, "SYMBOL", "answers like /why"),
        "more": Press(Need.LOOK, more.press, "ROW", "the rest of a grouped message"),
        "list": Press(Need.LOOK, listing.press, "PAGE", "turns the pages of /list"),
        "mute": Press(Need.CHANGE, mute.press, "SECONDS", "mutes the chat"),
        "unmute": Press(Need.CHANGE, mute.unmute, "", "ends the mute"),
        "unwatch": Press(
            Need.CHANGE, unwatch.press, "NUMBER", "removes a watch; also Undo of /watch"
        ),
        "resume": Press(Need.CHANGE, resume.press, "HANDLE", "ends the pause of a rule"),
    }
)


def menus() -> dict[str, list[tuple[str, str]]]:
    """The `/` menu per language, for BotApi.set_commands; "" (all others) is English."""
    return {
        "" if language == ENGLISH else language: [
            (name, menu_texts(translator(language))[name]) for name in COMMANDS
        ]
        for language in languages()
    }


def menu_texts(_: Translate) -> dict[str, str]:
    """What the menu says of each command."""
    return {
        "watch": _("Watch: /watch BTCUSDT rate > 0.05%"),
        "unwatch": _("Stop watching: number, symbol or all"),
        "list": _("What is watched here"),
        "why": _("Why an alert is on or silent"),
        "funding": _("Funding, basis and prices of a symbol"),
        "top": _("Highest and lowest funding"),
        "mute": _("No alerts for a while: /mute 2h"),
        "unmute": _("Alerts again"),
        "resume": _("Paused rules tell again"),
        "status": _("How the data and the bot fare"),
        "test": _("Send a sample alert"),
        "id": _("Your id and this chat's"),
        "help": _("Commands and the rule language"),
        "start": _("What this bot is"),
    }
