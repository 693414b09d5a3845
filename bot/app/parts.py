"""What the parts of the program that decide, tell and remember share."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.alerts.engine import Engine
from bot.app.desk import Desk
from bot.app.faults import Faults
from bot.app.journal import NO_JOURNAL, Journal
from bot.notify.storm import Flapping
from bot.ops.metrics import Metrics
from bot.rules.book import Book
from bot.store.port import Store
from bot.store.records import OutboxRow


@dataclass(frozen=True, slots=True)
class Parts:
    """What is kept in step; who looks and then stores holds `turn` from the one to the other."""

    engine: Engine
    store: Store
    desk: Desk
    faults: Faults
    metrics: Metrics
    journal: Journal = NO_JOURNAL
    flapping: Flapping = field(default_factory=Flapping)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Another book, and what is to be kept and said with it."""

    book: Book
    facts: Mapping[str, str]
    notices: Sequence[OutboxRow] = ()
