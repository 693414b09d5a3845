"""What the parts of the program that decide, tell and remember share."""

import asyncio
from dataclasses import dataclass, field

from bot.alerts.engine import Engine
from bot.app.desk import Desk
from bot.app.faults import Faults
from bot.app.journal import NO_JOURNAL, Journal
from bot.notify.storm import Flapping
from bot.ops.metrics import Metrics
from bot.store.port import Store


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
