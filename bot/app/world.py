"""What commands may look up, read from the running parts at the moment they ask."""

import time
from collections.abc import Callable, Mapping, Sequence

from bot import __version__
from bot.alerts.engine import Engine
from bot.alerts.look import Look
from bot.app.desk import Desk
from bot.app.faults import FEED, LAG, SKEW, UNANSWERED, Faults
from bot.app.feed_view import feed_view, in_ms, symbols_view
from bot.app.vitals import BLOCKING, Vitals
from bot.chat.world import FeedView, PausedRule, SenderView, Status
from bot.market.catalog import Catalog
from bot.market.reading import Reading
from bot.market.tick import Tick
from bot.notify.channel import Written
from bot.ops.judgement import sender
from bot.rules.rule import Rule
from bot.store.records import ChatRow, Watch

# Faults that the figures of /status tell of, and more exactly.
_SHOWN = frozenset({FEED, LAG, SKEW, UNANSWERED, *BLOCKING})


class LiveWorld:
    """The `World` of a running program."""

    def __init__(
        self,
        engine: Engine,
        desk: Desk,
        faults: Faults,
        *,
        now: Callable[[], int],
        vitals: Vitals,
    ) -> None:
        self.bot_name = ""
        self._began = time.monotonic()
        self.waiting = 0  # outbox rows, as last counted
        self.quotes: dict[str, Tick] = {}  # of symbols that no stream brings
        self.on_hold: dict[int, tuple[PausedRule, ...]] = {}  # by chat, as last looked up
        self.grouped: dict[tuple[int, int], Written | None] = {}  # fetched for one press
        self._engine = engine
        self._desk = desk
        self._faults = faults
        self._now = now
        self._vitals = vitals

    @property
    def now(self) -> int:
        return self._now()

    @property
    def catalog(self) -> Catalog:
        return self._engine.catalog

    @property
    def groups(self) -> Mapping[str, list[str]]:
        return self._desk.groups

    def chat(self, chat_id: int) -> ChatRow | None:
        return self._desk.chats.get(chat_id)

    def watches(self, chat_id: int) -> Sequence[Watch]:
        return [watch for watch in self._desk.watches.values() if watch.chat_id == chat_id]

    def rules(self, chat_id: int) -> Sequence[Rule]:
        return [rule for rule in self._engine.rules if self._tells(rule, chat_id)]

    def reading(self, symbol: str) -> Reading | None:
        memory = self._engine.symbols.get(symbol)
        live = None if memory is None else self._engine.reading(memory)
        if live is not None and not live.stale:
            return live
        quote = self.quotes.get(symbol)
        return live if quote is None else self._engine.read(quote, self.now)

    def readings(self) -> Sequence[Reading]:
        symbols = dict.fromkeys([*self._engine.symbols, *self.quotes])
        return [reading for symbol in symbols if (reading := self.reading(symbol)) is not None]

    def look(self, rule: Rule, symbol: str) -> Look | None:
        return self._engine.look(rule, symbol)

    def firing(self, rule: Rule) -> Sequence[str]:
        return [symbol for _, symbol, _ in self._engine.on(rule.id)]

    def status(self) -> Status:
        return Status(
            version=__version__,
            running=int((time.monotonic() - self._began) * 1000),
            feed=self._feed_view(),
            sender=self._sender_view(),
            file_rules=len(self._desk.book.file_rules),
            watches=len(self._desk.watches),
            firing=sum(1 for _ in self._engine.on()),
            recording=self._vitals.recording(),
            faults=tuple(text for kind, text in self._faults.present.items() if kind not in _SHOWN),
        )

    def _feed_view(self) -> FeedView:
        vitals, status = self._vitals, self._vitals.feed()
        symbols = symbols_view(self._engine, status.streams, vitals.by_rest())
        return feed_view(status, symbols, vitals.catalog_at(), time.monotonic())

    def _sender_view(self) -> SenderView:
        vitals = self._vitals
        return SenderView(
            is_telegram=vitals.is_telegram,
            waiting=self.waiting,
            sent_age=in_ms(vitals.sent_age),
            answer_age=in_ms(vitals.answer_age),
            blocked=vitals.blocked,
            is_well=sender(vitals.work()).ok,
            second=None if vitals.copying is None else vitals.copying.view,
        )

    def paused(self, chat_id: int) -> Sequence[PausedRule]:
        known = self._desk.pauses
        held = self.on_hold.get(chat_id, ())
        return [rule for rule in held if (chat_id, rule.rule_id) in known]

    def more(self, chat_id: int, row_id: int) -> Written | None:
        return self.grouped.get((chat_id, row_id))

    def _tells(self, rule: Rule, chat_id: int) -> bool:
        if not rule.targets:
            return chat_id in self._desk.admins
        return any(target.chat_id == chat_id for target in rule.targets)
