"""Why the feed was lost or sending fails, in the reader's language.

The parts say so in English sentences, which the log needs too. They are a fixed vocabulary: those
below, with `{placeholders}` for what differs. A sentence that is not among them stays English.
"""

import re
from functools import lru_cache

from bot.locale import Translate


def reason(words: str, translate: Translate) -> str:
    """One of the sentences in a language; plain text."""
    for english, wording in zip(_sentences(str), _sentences(translate), strict=True):
        found = _pattern(english).fullmatch(words)
        if found is not None:
            parts = found.groupdict()
            if "reason" in parts:
                parts["reason"] = reason(parts["reason"], translate)
            return wording.format(**parts)
    return words


@lru_cache(maxsize=64)
def _pattern(sentence: str) -> re.Pattern[str]:
    """What fits a sentence: any text for a placeholder, the shortest that does."""
    pieces = re.split(r"\{(\w+)\}", sentence)
    names = (f"(?P<{name}>.*?)" for name in pieces[1::2])
    texts = [re.escape(text) for text in pieces[0::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*names, ""], strict=True)), re.DOTALL)


def _sentences(_: Translate) -> tuple[str, ...]:
    """The first one that fits counts."""
    return (
        _(
            "the venue refuses this location (HTTP 451): it does not serve the country of this"
            " address; run the bot from elsewhere"
        ),
        _("the venue's firewall refuses this address (HTTP 403)"),
        _("the venue banned this address for a while (HTTP {status}); waiting {time} s"),
        _("the venue got too many requests (HTTP {status}); waiting {time} s"),
        _("the venue has a fault (HTTP {status})"),
        _("the server does not offer this stream (HTTP {status}); is BINANCE_STREAM_URL right?"),
        _("BINANCE_STREAM_URL is no websocket address: {detail}"),
        _("cannot connect: {detail}"),
        _("the connection is open, but no row came for {time} s"),
        _(
            "the connection is open, but no row came for {time} s; does BINANCE_STREAM_URL end in"
            " /market, and are the symbols' names right?"
        ),
        _("the venue closed the connection ({detail})"),
        _("the connection was given up ({detail})"),
        _("the connection broke off"),
        _(
            "rows come, but none is news: they repeat those before, or tell another time than the"
            " venue's"
        ),
        *_of_sending(_),
        *_of_storing(_),
    )


def _of_sending(_: Translate) -> tuple[str, ...]:
    return (
        _("cannot reach the Telegram server: {detail}"),
        _("no certain answer from the Telegram server: {detail}"),
        _("Telegram does not answer: a request is stuck"),
        _(
            "another program reads this bot's updates with the same token, so that each gets some"
            " of the commands: stop the other one, or give one of them a token of its own. The"
            " server says: {detail}"
        ),
        _(
            "a webhook is set for this bot: somebody called setWebhook with its token, and Telegram"
            " hands its updates there alone. If that is not wanted any more, open"
            " https://api.telegram.org/bot<the token>/deleteWebhook once; else use a token of its"
            " own here. The server says: {detail}"
        ),
        _(
            "the Telegram server refuses the token: check TELEGRAM_TOKEN (from @BotFather) and"
            " TELEGRAM_API_URL. The server says: {detail}"
        ),
        _("Telegram refuses the token: {detail}; check TELEGRAM_TOKEN"),
        _("the Telegram server refuses: {detail}"),
        _("commands cannot be stored: {reason}"),
        _("A message to chat {chat} is lost: {reason}"),
        _(
            "Topic {topic} of chat {chat} is gone ({detail}): its messages go to the general topic;"
            " name another topic in the rules file, or watch there"
        ),
        _(
            "Chat {name} cannot be written to: {detail}. Its watches are kept; it is told again as"
            " soon as somebody writes to the bot there."
        ),
    )


def _of_storing(_: Translate) -> tuple[str, ...]:
    return (
        _(
            "The database {path} may not be opened; let the user that runs this program read and"
            " write it ({detail})"
        ),
        _("The database {path} is locked by another program; end that program ({detail})"),
        _(
            "The database {path} cannot be written; let the user that runs this program write the"
            " file and its folder ({detail})"
        ),
        _(
            "The database {path} cannot be read or written, its disk fails; look at the system's"
            " log ({detail})"
        ),
        _(
            "The database {path} is damaged; stop this program and put back a copy of the file"
            " ({detail})"
        ),
        _("The database {path} cannot grow, its disk is full; free some space ({detail})"),
        _(
            "The database {path} cannot be opened; let the user that runs this program write the"
            " file and its folder ({detail})"
        ),
        _(
            "The database {path} is no SQLite database, or damaged; move the file away or put back"
            " a copy ({detail})"
        ),
    )
