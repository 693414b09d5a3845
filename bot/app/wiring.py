"""What a run is made of, as `run`, `record` and the demo put it together."""

from dataclasses import dataclass, field

from bot.app.copying import CopyingSettings, Sender
from bot.app.desk import Desk
from bot.app.recorder import Recorder
from bot.app.rules_source import RulesSource
from bot.market.stream import StreamSettings
from bot.notify.bot_api import BotApi
from bot.notify.channel import Channel
from bot.notify.notifier import Settings as NotifierSettings
from bot.store.port import Store


@dataclass(frozen=True)
class Wiring:
    """The parts that differ from one kind of run to another."""

    store: Store
    channel: Channel
    api: BotApi | None
    stream: StreamSettings
    rest_root: str
    source: RulesSource
    desk: Desk
    address: tuple[str, int] | None = None  # of the health pages
    stale_after: int = 30_000  # ms
    notifier: NotifierSettings = field(default_factory=NotifierSettings)
    heartbeat_url: str | None = field(default=None, repr=False)
    recorder: Recorder | None = None
    second: Sender | None = None  # the second channel
    copying: CopyingSettings = field(default_factory=CopyingSettings)  # and what goes there
