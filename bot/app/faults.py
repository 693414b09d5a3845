"""The program's own faults: said once to the admins when they begin, once when they are over.

Those of the venue and of Telegram are kept over a restart, so that each that was told is also
told to be over.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from bot.app import venue_texts as texts
from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.markup import plain_text
from bot.notify.payload import FAULT, FAULT_OVER, notice_row
from bot.notify.port import TOKEN, UNREACHABLE
from bot.rules.rule import Target
from bot.store.records import OutboxRow

Text = Callable[[Callable[[str], str]], str]  # writes itself with a translator
FEED, LAG, SKEW, UNANSWERED = "feed", "lag", "skew", "unanswered"
SOURCES, CATALOG_DOUBTED, NO_CATALOG = "second-source", "catalog", "no-catalog"
KEPT = (
    FEED, LAG, SKEW, UNANSWERED, SOURCES, CATALOG_DOUBTED, NO_CATALOG, UNREACHABLE, TOKEN,
)  # fmt: skip
FAULTS = "faults"  # the fact with the present ones of these: JSON, kind to since when (epoch ms)
_log = logging.getLogger(__name__)


class Faults:
    """What is wrong now, by kind. Gives the notices; who sends or stores them is another matter."""

    def __init__(self, readers: Callable[[], Sequence[tuple[int, str]]]) -> None:
        self._readers = readers  # (private chat, language) of each admin
        self._active: dict[str, Text] = {}
        self._since: dict[str, int] = {}  # epoch ms, of those that are active

    @property
    def present(self) -> Mapping[str, Text]:
        """The present faults as they were told, by kind, the oldest first."""
        return self._active

    def is_active(self, kind: str) -> bool:
        return kind in self._active

    def since(self, kind: str) -> int | None:
        """Since when a fault is there, epoch ms; None where it is not."""
        return self._since.get(kind)

    def kept(self) -> str:
        """The text of the fact FAULTS."""
        return msgspec.json.encode({k: t for k, t in self._since.items() if k in KEPT}).decode()

    def restore(self, kept: str) -> None:
        """Takes the faults that an earlier run told and did not tell to be over."""
        try:
            known = msgspec.json.decode(kept or "{}", type=dict[str, int])
        except msgspec.DecodeError:
            _log.warning("The faults that were kept cannot be read: %.200s", kept)
            return
        for kind, since in known.items():
            if kind in KEPT:
                self._since[kind] = since
                self._active[kind] = partial(texts.fault_before_start, kind, since)

    def begin(
        self, kind: str, text: Text, now: int, *, since: int | None = None, again: bool = False
    ) -> list[OutboxRow]:
        """The notices of a fault that was not there before; none where it was, unless `again`.

        `since`: when it began (epoch ms), where that was before `now`.
        """
        words = plain_text(text(translator("en"))).replace("\n", " ")
        known = kind in self._active
        self._active[kind] = text
        self._since.setdefault(kind, now if since is None else since)
        if known and not again:
            return []
        _log.warning("%s", words, extra={"action": "fault", "kind": kind})
        return self.notices(f"{FAULT}{kind}", text, now)

    def end(self, kind: str, text: Text, now: int) -> list[OutboxRow]:
        """The notices that a fault is over; none where there was none."""
        if self._active.pop(kind, None) is None:
            return []
        since = self._since.pop(kind)
        if kind in KEPT and kind != FEED:  # whose own text is more exact
            text = partial(texts.with_length, text, max(now - since, 0))
        _log.info(
            "%s", plain_text(text(translator("en"))), extra={"action": "fault_over", "kind": kind}
        )
        return self.notices(f"{FAULT_OVER}{kind}", text, now)

    def forget(self, kind: str) -> None:
        """The fault is over, or another one of its kind is about to be told: nothing is said."""
        self._active.pop(kind, None)
        self._since.pop(kind, None)

    def notices(self, key: str, text: Text, now: int) -> list[OutboxRow]:
        """One notice for each admin, in the admin's language.

        Where `key` begins like one of FAULT_NAMES the second channel of the admins gets it too.
        """
        return [
            notice_row(f"{key}:{now}", Target(chat_id), Written(text(translator(language))), now)
            for chat_id, language in self._readers()
        ]
