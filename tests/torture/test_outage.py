"""Telegram is out of reach for long while alerts go on: nothing is lost, all is told or counted."""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.alerts.lifecycle import Kind
from bot.notify.notifier import Settings
from bot.notify.payload import outbox_row_for
from bot.notify.port import UNREACHABLE
from bot.rules.rule import Target
from bot.store.records import OutboxRow
from tests.doubles.telegram import Fault, Limits, TelegramDouble
from tests.notify.events import event
from tests.torture.ledger import MARK
from tests.torture.office import Office, an_office

Report = Callable[[str, object], None]
MINUTE = 60_000  # ms
BEGIN = 1_795_000_000_000  # ms
MAX_AGE = 60 * MINUTE
LASTS = 40 * MINUTE  # each alert, from its firing to its end
_NOT_SENT = re.compile(r"^⏱ Not sent, because it would have come too late: (\d+) alerts?\b")
_FULL = re.compile(r"^(🔔|✅) (S\d+USDT) ", re.MULTILINE)
_ROW = re.compile(r"^([▲✓]).(S\d+USDT) ", re.MULTILINE)


@dataclass
class Outage:
    """Chats that each get their share of alerts, minute by minute, of a clock that is set."""

    telegram: TelegramDouble
    chats: int
    minutes: int
    now: int = BEGIN
    fired: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    rows: dict[int, list[tuple[str, bool, int]]] = field(default_factory=lambda: defaultdict(list))

    async def live_through(self, office: Office, alerts: int) -> None:
        """Alerts fire through the whole time; those that are over after 40 minutes say so."""
        each = alerts // self.chats
        for chat_id in range(1, self.chats + 1):
            self.telegram.add_chat(chat_id, "private")
        for minute in range(self.minutes):
            self.now = BEGIN + minute * MINUTE
            rows = [
                made
                for chat_id in range(1, self.chats + 1)
                for number in range(each)
                for made in self._of_minute(chat_id, number, number * self.minutes // each, minute)
            ]
            if rows:
                await office.commit(*rows)
            await office.notifier.drain()
            office.notifier.delivery.outage.skip(60)
        # Half a minute more: no alert is exactly as old as the limit when it is over.
        self.now = BEGIN + self.minutes * MINUTE + MINUTE // 2

    def _of_minute(self, chat_id: int, number: int, fires: int, minute: int) -> list[OutboxRow]:
        symbol, began = f"S{number}USDT", BEGIN + fires * MINUTE
        changes = {"at": self.now, "since": began, "rule_id": f"file:r{number}"}
        if minute == fires:
            made = event(symbol, **changes)
        elif minute == fires + LASTS // MINUTE:
            made = event(symbol, kind=Kind.RESOLVED, **changes)
        else:
            return []
        self.rows[chat_id].append((symbol, made.kind is Kind.RESOLVED, self.now))
        return [outbox_row_for(made, Target(chat_id), self.now)]

    def expected(self, chat_id: int) -> tuple[set[tuple[str, bool]], int]:
        """What a chat must be told, as (symbol, over), and how many alerts must be counted."""
        last = self.now - MAX_AGE
        late = {symbol for symbol, over, at in self.rows[chat_id] if not over and at < last}
        told = {(symbol, over) for symbol, over, _ in self.rows[chat_id] if symbol not in late}
        return told, len(self.rows[chat_id]) - len(told)

    def heard(self, chat_id: int) -> tuple[Counter[tuple[str, bool]], list[int], bool]:
        """What a chat was told, the counts of its lines, and whether a repeat lacks the mark."""
        told: Counter[tuple[str, bool]] = Counter()
        lines: list[int] = []
        unmarked = False
        for message in self.telegram.to(chat_id):
            if line := _NOT_SENT.match(message.text):
                lines.append(int(line[1]))
                continue
            found = [(symbol, sign == "✅") for sign, symbol in _FULL.findall(message.text)]
            found += [(symbol, sign == "✓") for sign, symbol in _ROW.findall(message.text)]
            unmarked |= any(told[one] for one in found) and MARK not in message.text
            told.update(found)
        return told, lines, unmarked


FAULTS = {
    "refused": None,
    "html 200": Fault.html(200),
    "html 502": Fault.html(502),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("minutes", "alerts", "chats"),
    [
        pytest.param(120, 80, 4, id="2h-short"),
        pytest.param(50, 800, 50, id="50min", marks=pytest.mark.torture),
        pytest.param(120, 800, 50, id="2h", marks=pytest.mark.torture),
    ],
)
@pytest.mark.timeout(300)
async def test_what_fires_while_telegram_is_away_is_told_or_counted(
    minutes: int, alerts: int, chats: int, fault: str, tmp_path: Path, record_property: Report
) -> None:
    async with TelegramDouble(limits=Limits()) as telegram:
        outage = Outage(telegram, chats, minutes)
        settings = Settings(max_age=MAX_AGE)
        async with an_office(tmp_path, telegram, settings, lambda: outage.now) as office:
            befalls = FAULTS[fault]
            if befalls is None:
                await telegram.go_down()
            else:
                telegram.fail_next(befalls, times=100_000)
            await outage.live_through(office, alerts)
            await _fails(office)
            assert telegram.messages == []
            if befalls is None:
                await telegram.come_back()
            else:
                telegram._faults.clear()
            await _drained(outage, office)
            said = [kind for kind, _ in office.quiet.faults]
    missing, lines = 0, Counter[int]()
    for chat_id in range(1, chats + 1):
        expected, counted = outage.expected(chat_id)
        told, found, unmarked = outage.heard(chat_id)
        missing += len(expected - told.keys())
        lines[len(found)] += 1
        assert set(told) == expected, chat_id
        assert found == ([counted] if counted else []), chat_id
        assert not unmarked
    record_property(
        "summary",
        f"Telegram away for {minutes} min ({fault}), {alerts} episodes in {chats} chats: "
        f"{missing} missing, messages {len(telegram.messages)}, lines a chat {dict(lines)}",
    )
    assert said == [UNREACHABLE, UNREACHABLE]  # it began, and it is over
    assert telegram.limited == 0


async def _fails(office: Office) -> None:
    """Waits until it is known that the server is out of reach."""
    async with asyncio.timeout(60):
        while UNREACHABLE not in office.quiet.present:
            await office.notifier.drain()
            await asyncio.sleep(0.05)


async def _drained(outage: Outage, office: Office) -> None:
    """The clock goes on with the real one, second by second."""
    async with asyncio.timeout(200):
        while await office.store.pending():
            outage.now += 1_000
            office.notifier.wake()
            await asyncio.sleep(0.2)
