"""A small world for the chat: a real engine on a few symbols, chats and watches in dicts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.alerts.engine import Engine
from bot.alerts.lifecycle import Phase
from bot.alerts.look import Look
from bot.chat.access import Access
from bot.chat.answer import Answer
from bot.chat.decide import decide
from bot.chat.request import Request, read_update
from bot.chat.world import FeedView, LinkView, PausedRule, SenderView, Status
from bot.market.catalog import Catalog
from bot.market.reading import Reading
from bot.market.tick import Tick
from bot.notify.channel import Written
from bot.notify.markup import plain_text
from bot.rules.rule import Rule
from bot.rules.watch_line import parse_watch
from bot.store.records import ChatRow, Watch

NOW = 1_790_000_000_000 - 1_790_000_000_000 % 28_800_000 + 6 * 3_600_000  # 2 h before a funding
FUNDING_AT = NOW + 2 * 3_600_000
ADMIN, GUEST, GROUP = 7, 8, -1001234567890

RATES = {  # symbol: rate; mark is 0.1 % over index
    "BTCUSDT": "0.00010000",
    "ETHUSDT": "0.00061200",
    "SOLUSDT": "-0.00250000",
    "币安人生USDT": "0.00005000",
    "1000PEPEUSDT": "0.00000001",
}
QUARTERLY = "BTCUSDT_270326"

STATUS = Status(
    version="0.1.0",
    running=3_600_000,
    feed=FeedView(
        "flows",
        row_age=1_000,
        rows_per_second=6.0,
        lag=240,
        links=(LinkView(3_599_000, 6),),
        catalog_age=120_000,
        symbols=6,
        stale=("SOLUSDT",),
    ),
    sender=SenderView(is_telegram=True, waiting=4, answer_age=2_000),
    file_rules=2,
    watches=3,
    firing=1,
    faults=(
        lambda _: "⚠️ <b>The rules file</b> cannot be read: rules.yaml:3:1: &lt;unknown key&gt;",
    ),
)


def exchange_info() -> dict[str, Any]:
    rows = [
        {"symbol": symbol, "contractType": "PERPETUAL", "status": "TRADING"} for symbol in RATES
    ]
    rows.append({"symbol": QUARTERLY, "contractType": "CURRENT_QUARTER", "status": "TRADING"})
    rows.append({"symbol": "LUNAUSDT", "contractType": "PERPETUAL", "status": "SETTLING"})
    rows.append({"symbol": "SOONUSDT", "contractType": "PERPETUAL", "status": "PENDING_TRADING"})
    rows.append({"symbol": "NEWUSDT", "contractType": "PERPETUAL", "status": "TRADING"})
    return {"symbols": rows}


def funding_info() -> list[dict[str, Any]]:
    def row(symbol: str, hours: int, cap: str) -> dict[str, Any]:
        return {
            "symbol": symbol,
            "fundingIntervalHours": hours,
            "adjustedFundingRateCap": cap,
            "adjustedFundingRateFloor": f"-{cap}",
        }

    return [row("BTCUSDT", 8, "0.00300"), row("SOLUSDT", 4, "0.02"), row("币安人生USDT", 4, "0.02")]


class FakeWorld:
    """Looks up in plain attributes; `take` does what the app does with an answer."""

    def __init__(self, *, catalog: bool = True, rows: bool = True) -> None:
        self.now = NOW
        self.groups: Mapping[str, list[str]] = {"majors": ["BTCUSDT", "ETHUSDT"]}
        self.bot_name = "funding_test_bot"
        self.catalog = Catalog()
        if catalog:
            self.catalog = Catalog().with_exchange_info(exchange_info())
            self.catalog = self.catalog.with_funding_info(funding_info())
        self.engine = Engine((), self.catalog)
        self.chats: dict[int, ChatRow] = {}
        self.held: dict[int, list[Watch]] = {}
        self.file_rules: dict[int, list[Rule]] = {}
        self.rest: dict[tuple[int, int], Written] = {}
        self.on_hold: dict[int, list[PausedRule]] = {}
        self.admins = {ADMIN}
        self.present = STATUS
        self._update_id = 0
        if rows:
            self.engine.on_frame(
                [*(tick(symbol) for symbol in RATES), tick(QUARTERLY, "", until=0)]
            )

    # -- World ------------------------------------------------------------------------------

    def chat(self, chat_id: int) -> ChatRow | None:
        return self.chats.get(chat_id)

    def watches(self, chat_id: int) -> Sequence[Watch]:
        return self.held.get(chat_id, [])

    def rules(self, chat_id: int) -> Sequence[Rule]:
        own = [self._rule(watch) for watch in self.watches(chat_id)]
        return [*self.file_rules.get(chat_id, []), *own]

    def reading(self, symbol: str) -> Reading | None:
        memory = self.engine.symbols.get(symbol)
        return None if memory is None else self.engine.reading(memory)

    def readings(self) -> Sequence[Reading]:
        return [self.engine.reading(memory) for memory in self.engine.symbols.values()]

    def look(self, rule: Rule, symbol: str) -> Look | None:
        return self.engine.look(rule, symbol)

    def firing(self, rule: Rule) -> Sequence[str]:
        looks = (self.engine.look(rule, symbol) for symbol in self.engine.symbols)
        on = (Phase.FIRING, Phase.RECOVERING)
        return [look.reading.tick.symbol for look in looks if look and look.state.phase in on]

    def status(self) -> Status:
        return self.present

    def paused(self, chat_id: int) -> Sequence[PausedRule]:
        return self.on_hold.get(chat_id, [])

    def more(self, chat_id: int, row_id: int) -> Written | None:
        return self.rest.get((chat_id, row_id))

    # -- what the app and people do ---------------------------------------------------------

    def say(
        self, text: str, user: int = ADMIN, access: Access | None = None, **keys: Any
    ) -> Answer:
        """Somebody writes; the answer is taken."""
        return self.act({"message": message(text, user, **keys)}, access)

    def press(
        self, data: str, user: int = ADMIN, access: Access | None = None, **keys: Any
    ) -> Answer:
        """Somebody presses a button under a message of the bot; the answer is taken."""
        return self.act({"callback_query": query(data, user, **keys)}, access)

    def act(self, content: dict[str, Any], access: Access | None = None) -> Answer:
        self._update_id += 1
        request = read_update({"update_id": self._update_id, **content})
        assert request is not None
        return self.take(request, self.decide(request, access))

    def decide(self, request: Request, access: Access | None = None) -> Answer:
        return decide(request, self, access or Access(frozenset(self.admins)))

    def take(self, request: Request, answer: Answer) -> Answer:
        for watch in answer.watches:
            self.held.setdefault(watch.chat_id, []).append(watch)
        for chat_id, number in answer.unwatched:
            kept = [watch for watch in self.held[chat_id] if watch.number != number]
            self.held[chat_id] = kept
        for chat_id, rule_id in answer.resumed:
            kept_on_hold = [one for one in self.on_hold[chat_id] if one.rule_id != rule_id]
            self.on_hold[chat_id] = kept_on_hold
        self.chats |= {row.chat_id: row for row in answer.chats}
        if answer.claim is not None:
            self.admins.add(answer.claim)
        every = [rule for chat_id in {*self.held, *self.file_rules} for rule in self.rules(chat_id)]
        self.engine.replace_rules(list({rule.id: rule for rule in every}.values()))
        return answer

    def pass_time(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.engine.advance(self.now)

    def _rule(self, watch: Watch) -> Rule:
        line = parse_watch(watch.line, timezone="UTC", groups=dict(self.groups))
        rule = Rule(watch.rule_id, f"#{watch.number}", line.selection, line.condition, line.options)
        return replace(rule, created_at=watch.created_at)


def tick(symbol: str, rate: str | None = None, at: int = NOW, until: int = FUNDING_AT) -> Tick:
    return Tick(
        symbol, at, "100.10", "100.00", "100.05", RATES[symbol] if rate is None else rate, until
    )


def message(
    text: str,
    user: int = ADMIN,
    chat: int | None = None,
    language: str = "en",
    topic: int | None = None,
) -> dict[str, Any]:
    """A raw message of the Bot API."""
    raw: dict[str, Any] = {
        "message_id": 55,
        "date": NOW // 1000,
        "from": {"id": user, "is_bot": False, "first_name": "A", "language_code": language},
        "chat": chat_json(user if chat is None else chat),
        "text": text,
    }
    return raw if topic is None else raw | {"message_thread_id": topic, "is_topic_message": True}


def query(
    data: str, user: int = ADMIN, chat: int | None = None, language: str = "en"
) -> dict[str, Any]:
    """A raw callback query under message 99 of the bot."""
    return {
        "id": "4242",
        "from": {"id": user, "is_bot": False, "first_name": "A", "language_code": language},
        "message": {
            "message_id": 99,
            "date": NOW // 1000,
            "chat": chat_json(user if chat is None else chat),
            "from": {"id": 1, "is_bot": True, "first_name": "Funding"},
            "text": "an alert",
        },
        "data": data,
    }


def chat_json(chat_id: int) -> dict[str, Any]:
    if chat_id > 0:
        return {"id": chat_id, "type": "private", "first_name": "A"}
    return {"id": chat_id, "type": "supergroup", "title": "Desk <1>"}


def said(answer: Answer) -> str:
    """What a reader sees of an answer."""
    return "\n".join(plain_text(written.text) for written in answer.replies)
