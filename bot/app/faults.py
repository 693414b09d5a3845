"""The program's own faults: said once to the admins when they begin, once when they are over."""

import logging
from collections.abc import Callable, Mapping, Sequence

from bot.locale import translator
from bot.notify.channel import Written
from bot.notify.markup import plain_text
from bot.notify.payload import notice_row
from bot.rules.rule import Target
from bot.store.records import OutboxRow

Text = Callable[[Callable[[str], str]], str]  # writes itself with a translator
_log = logging.getLogger(__name__)


class Faults:
    """What is wrong now, by kind. Gives the notices; who sends or stores them is another matter."""

    def __init__(self, readers: Callable[[], Sequence[tuple[int, str]]]) -> None:
        self._readers = readers  # (private chat, language) of each admin
        self._active: dict[str, Text] = {}

    @property
    def present(self) -> Mapping[str, Text]:
        """The present faults as they were told, by kind, the oldest first."""
        return self._active

    def is_active(self, kind: str) -> bool:
        return kind in self._active

    def begin(self, kind: str, text: Text, now: int) -> list[OutboxRow]:
        """The notices of a fault that was not there before; none where it was."""
        words = plain_text(text(translator("en"))).replace("\n", " ")
        known = kind in self._active
        self._active[kind] = text
        if known:
            return []
        _log.warning("%s", words, extra={"action": "fault", "kind": kind})
        return self.notices(f"fault:{kind}", text, now)

    def end(self, kind: str, text: Text, now: int) -> list[OutboxRow]:
        """The notices that a fault is over; none where there was none."""
        if self._active.pop(kind, None) is None:
            return []
        _log.info(
            "%s", plain_text(text(translator("en"))), extra={"action": "fault_over", "kind": kind}
        )
        return self.notices(f"over:{kind}", text, now)

    def forget(self, kind: str) -> None:
        """The fault is over, or another one of its kind is about to be told: nothing is said."""
        self._active.pop(kind, None)

    def notices(self, key: str, text: Text, now: int) -> list[OutboxRow]:
        """One notice for each admin, in the admin's language."""
        return [
            notice_row(f"{key}:{now}", Target(chat_id), Written(text(translator(language))), now)
            for chat_id, language in self._readers()
        ]
