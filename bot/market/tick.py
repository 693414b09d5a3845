"""A tick: one mark price update of one symbol, in the venue's own texts."""

import msgspec


class Tick(msgspec.Struct, frozen=True, gc=False, rename=None):
    """One row of the mark price stream.

    Numbers stay the texts that were sent: they are converted only when they are looked at, and
    then exactly. A text that is no number counts as missing, like the empty one.
    """

    symbol: str = msgspec.field(name="s")
    event_time: int = msgspec.field(name="E")  # ms since 1970, the venue's clock
    mark: str = msgspec.field(name="p", default="")
    index: str = msgspec.field(name="i", default="")
    settle: str = msgspec.field(name="P", default="")  # estimated settle price
    rate: str = msgspec.field(name="r", default="")  # a fraction per funding interval
    next_funding_time: int = msgspec.field(name="T", default=0)  # ms; 0: no funding
    event: str = msgspec.field(name="e", default="")  # "markPriceUpdate", else not a tick
    margin: int = msgspec.field(name="st", default=1)  # 1 USDS-M, 2 COIN-M
