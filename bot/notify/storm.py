"""When a rule tells too much: of how many messages it is paused, and what of it is summed up.

Both act in delivery alone; what the engine decides is as ever.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from enum import StrEnum

from bot.alerts.lifecycle import Kind
from bot.store.records import Firing, OutboxRow, RecentSend

MESSAGES, WITHIN = 15, 180_000  # of one rule alone in one chat, in so many ms
FIRINGS, HOUR = 6, 3_600_000  # of one rule on one symbol, in so many ms
Place = tuple[int, int | None]  # chat and topic
_SWEEP = 600_000  # ms of event time between looks for pairs to forget


class RuleMessages:
    """The messages that told of one rule alone, by chat, within the last 3 minutes.

    Times are the notifier's clock, which only passes (epoch ms).
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int, str]] = deque()  # (at, chat id, rule id), oldest first
        self._counts: Counter[tuple[int, str]] = Counter()

    def sent(self, chat_id: int, rule_id: str, now: int) -> None:
        self._expire(now)
        self._recent.append((now, chat_id, rule_id))
        self._counts[chat_id, rule_id] += 1

    def is_full(self, chat_id: int, rule_id: str, now: int) -> bool:
        """Whether one more message would be more than 15 within 3 minutes."""
        self._expire(now)
        return self._counts[chat_id, rule_id] >= MESSAGES

    def forget(self, chat_id: int, rule_id: str) -> None:
        """The rule begins anew in that chat."""
        kept = [one for one in self._recent if one[1:] != (chat_id, rule_id)]
        self._recent = deque(kept)
        self._counts.pop((chat_id, rule_id), None)

    def restore(self, sends: Iterable[RecentSend]) -> None:
        """Takes what an earlier run sent, oldest first."""
        for send in sends:
            if send.rule_id:
                self.sent(send.chat_id, send.rule_id, send.at)

    def _expire(self, now: int) -> None:
        while self._recent and self._recent[0][0] < now - WITHIN:
            _, chat_id, rule_id = self._recent.popleft()
            self._counts[chat_id, rule_id] -= 1
            if not self._counts[chat_id, rule_id]:
                del self._counts[chat_id, rule_id]


class Telling(StrEnum):
    """How an event is told."""

    TELL = "tell"  # by itself
    SAY = "say"  # by itself, with the word that what follows is summed up
    FOLD = "fold"  # in the next summary


class Flapping:
    """Which rules fire so often on a symbol that it is summed up.

    The 7th firing within an hour says so, and everything after it is folded, until an hour holds
    so few firings that the next one would not be a 7th. Times are event times (ms): a summary is
    about the market, whatever the machine's clock says.

    That holds for the pair. A place folds only after it was told so itself, and while something of
    the pair waits there for a summary, all that follows waits with it: nothing is told before what
    came before it.
    """

    def __init__(self) -> None:
        # By rule and symbol: one time, or from the second on their list. In a storm thousands of
        # pairs fire once, and a list for each would be the most of it.
        self._times: dict[str, dict[str, int | list[int]]] = {}
        self._flapping: dict[tuple[str, str], set[Place]] = {}  # who was told that it does
        self._folded: dict[tuple[str, str], set[Place]] = {}  # where something waits
        self._swept_at = 0

    def note(self, rule_id: str, symbol: str, kind: Kind, at: int) -> Telling:
        """Takes an event in its turn; how it is to be told."""
        if at - self._swept_at >= _SWEEP or at < self._swept_at:
            self._sweep(at)
        goes_on = self.is_flapping(rule_id, symbol, at)
        if not goes_on:
            self._flapping.pop((rule_id, symbol), None)
        if kind is not Kind.FIRED:
            return Telling.FOLD if goes_on else Telling.TELL
        firings = self._fired(rule_id, symbol, at)
        if goes_on:
            return Telling.FOLD
        if firings <= FIRINGS:
            return Telling.TELL
        self._flapping[rule_id, symbol] = set()
        return Telling.SAY

    def note_in(
        self, place: Place, pair: tuple[str, str], kind: Kind, telling: Telling, *, paused: bool
    ) -> Telling:
        """How a place is told of an event of a pair (rule id, symbol) that `note` has taken.

        Where the rule is `paused` it is held with the rest, unless something waits for a summary.
        """
        told = self._flapping.get(pair, set())
        if place in self._folded.get(pair, ()):
            told.add(place)
            return Telling.FOLD
        if telling is Telling.TELL or paused:
            return Telling.TELL
        if place in told:
            self._folded.setdefault(pair, set()).add(place)
            return Telling.FOLD
        if kind is not Kind.FIRED:
            return Telling.TELL
        told.add(place)
        return Telling.SAY

    def restore_folded(self, rows: Iterable[OutboxRow]) -> None:
        """Takes all that waits for a summary in the store; nothing else waits."""
        self._folded = {}
        for row in rows:
            self._folded.setdefault((row.rule_id, row.symbol), set()).add((row.chat_id, row.topic))

    def said(self, pair: tuple[str, str], place: Place) -> None:
        """The place was told that the pair flaps."""
        if pair in self._flapping:
            self._flapping[pair].add(place)

    def is_flapping(self, rule_id: str, symbol: str, now: int) -> bool:
        """Whether what comes now is folded."""
        if (rule_id, symbol) not in self._flapping:
            return False
        return len(self._within(rule_id, symbol, now)) >= FIRINGS

    def forget(self, rule_id: str, symbol: str = "") -> None:
        """The rule ended on that symbol; without one on all."""
        symbols = self._times.get(rule_id, {})
        for name in [symbol] if symbol else list(symbols):
            symbols.pop(name, None)
            self._flapping.pop((rule_id, name), None)
        for pair in [pair for pair in self._folded if pair[0] == rule_id]:
            if symbol in ("", pair[1]):
                del self._folded[pair]
        if not symbols:
            self._times.pop(rule_id, None)

    def rename(self, names: Mapping[str, str], old: int, new: int) -> None:
        """Follows a chat to its new id, and rules to theirs."""
        self._times = {names.get(rule_id, rule_id): own for rule_id, own in self._times.items()}
        self._flapping = _renamed(self._flapping, names, old, new)
        self._folded = _renamed(self._folded, names, old, new)

    def restore(self, firings: Iterable[Firing]) -> dict[tuple[str, str], list[int]]:
        """Takes the firings of an earlier run; they begin where their episodes do.

        Those of two hours tell also of a pair that fires just often enough, hour after hour.
        Returns the pairs that flap with their last episodes: whom they were told to says `said`.
        """
        for one in sorted(firings, key=lambda firing: firing.episode):
            self.note(one.rule_id, one.symbol, Kind.FIRED, one.episode)
        return {pair: self._listed(*pair) for pair in self._flapping}

    def _fired(self, rule_id: str, symbol: str, at: int) -> int:
        """Notes a firing; how many there are within the hour, with it."""
        symbols = self._times.setdefault(rule_id, {})
        times = [*self._within(rule_id, symbol, at), at][-FIRINGS - 1 :]
        symbols[symbol] = times if len(times) > 1 else at
        return len(times)

    def _within(self, rule_id: str, symbol: str, now: int) -> list[int]:
        """The firings of the last hour, oldest first; at most 7 are kept."""
        return [at for at in self._listed(rule_id, symbol) if now - HOUR < at <= now]

    def _listed(self, rule_id: str, symbol: str) -> list[int]:
        times = self._times.get(rule_id, {}).get(symbol, [])
        return [times] if isinstance(times, int) else times

    def _sweep(self, now: int) -> None:
        """Forgets the pairs whose last firing is over an hour old."""
        self._swept_at = now
        for rule_id, symbols in list(self._times.items()):
            kept = {name: times for name, times in symbols.items() if _last(times) > now - HOUR}
            if kept:
                self._times[rule_id] = kept
            else:
                del self._times[rule_id]
        self._flapping = {
            pair: told
            for pair, told in self._flapping.items()
            if pair[1] in self._times.get(pair[0], ())
        }


def _last(times: int | list[int]) -> int:
    return times if isinstance(times, int) else times[-1]


def _renamed(
    pairs: Mapping[tuple[str, str], set[Place]], names: Mapping[str, str], old: int, new: int
) -> dict[tuple[str, str], set[Place]]:
    return {
        (names.get(rule_id, rule_id), symbol): {
            (new if chat_id == old else chat_id, topic) for chat_id, topic in places
        }
        for (rule_id, symbol), places in pairs.items()
    }
