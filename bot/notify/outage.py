"""Whether the server is down, by what comes of the requests to it. Pure.

Times are seconds of any steady clock.
"""

_FAILURES = 3  # in a row, with no answer of any kind in between ...
_SPAN = 2.0  # ... over so many seconds


class Outage:
    """Judges a server by its failures: requests that it refused to hear or left without answer.

    One chat's failures tell of the server only where no other chat is tried. A chat that fails
    while others are answered tells nothing of it until it is answered itself.
    """

    def __init__(self) -> None:
        self.is_on = False  # set by who knows it from elsewhere, too
        self._asked: set[int] = set()  # chats with a request under way
        self._failing: dict[int, float] = {}  # by chat: its first failure since the last answer
        self._failures = 0
        self._odd: set[int] = set()  # chats that failed while others were answered

    def asked(self, chat_id: int) -> None:
        """A request to a chat goes out."""
        self._asked.add(chat_id)

    def failed(self, chat_id: int, now: float) -> None:
        """One has ended without an answer."""
        self._asked.discard(chat_id)
        if chat_id in self._odd:
            return
        self._failures += 1
        began = next(iter(self._failing.values()), now)
        self._failing.setdefault(chat_id, now)
        is_enough = self._failures >= _FAILURES and now - began >= _SPAN
        if is_enough and (len(self._failing) > 1 or not self._asked - self._odd):
            self.is_on = True

    def answered(self, chat_id: int) -> bool:
        """One was answered, whatever was said; whether an outage is over by that."""
        self._asked.discard(chat_id)
        if not (self.is_on and len(self._failing) > 1):
            self._odd |= self._failing.keys()
        self._odd.discard(chat_id)
        return self.over()

    def over(self) -> bool:
        """The server answers, whoever was answered; whether it was down."""
        was_on, self.is_on = self.is_on, False
        self._failing.clear()
        self._failures = 0
        return was_on

    def skip(self, seconds: float) -> None:
        """So much time has passed that the clock did not show."""
        self._failing = {chat_id: at - seconds for chat_id, at in self._failing.items()}
