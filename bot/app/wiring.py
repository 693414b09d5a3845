"""What a run is made of, as `run`, `record` and the demo put it together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from bot.app.copying import CopyingSettings, Sender
from bot.app.desk import Desk
from bot.app.recorder import Recorder
from bot.app.rules_source import RulesSource
from bot.market.stream import StreamSettings
from bot.notify.bot_api import BotApi
from bot.notify.channel import Channel
from bot.notify.console import Console
from bot.notify.notifier import Settings as NotifierSettings
from bot.notify.pacing import Limits
from bot.notify.second_channel import SecondChannel
from bot.settings import Access, Settings
from bot.store.port import Store
from bot.store.sql import SqlStore


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
    wall: Callable[[], float] = time.time  # this machine's clock, s, which the venue's is held to
    notifier: NotifierSettings = field(default_factory=NotifierSettings)
    heartbeat_url: str | None = field(default=None, repr=False)
    recorder: Recorder | None = None
    second: Sender | None = None  # the second channel
    copying: CopyingSettings = field(default_factory=CopyingSettings)  # and what goes there


def wiring_of(
    settings: Settings, api: BotApi | None, out: TextIO, recorder: Recorder | None
) -> Wiring:
    """What the settings say; without `api` alerts are printed to `out`."""
    heartbeat, entries = settings.heartbeat_url, settings.fallback_urls
    return Wiring(
        store=SqlStore(settings.database_url),
        channel=api or Console(out),
        api=api,
        stream=StreamSettings(
            settings.binance_stream_url,
            streams_per_connection=settings.streams_per_connection,
            handover_after=settings.handover_after / 1000,
        ),
        rest_root=settings.binance_rest_url,
        source=RulesSource(settings.rules_file, named=settings.rules_file_is_named),
        desk=Desk(
            settings.admins,
            open_to_all=settings.access is Access.OPEN,
            telegram=api is not None,
        ),
        address=settings.http_addr,
        stale_after=settings.stale,
        notifier=NotifierSettings(
            max_age=settings.max_age,
            lease=settings.lease_ttl,
            limits=Limits(overall=settings.send_rate),
        ),
        heartbeat_url=heartbeat.get_secret_value() if heartbeat else None,
        recorder=recorder,
        second=SecondChannel([one.url for one in entries]) if api and entries else None,
        copying=CopyingSettings(entries, settings.fallback_after, settings.max_age),
    )
