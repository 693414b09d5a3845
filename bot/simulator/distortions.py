"""What faults do to the frames of a push."""

from collections.abc import Callable, Mapping

Distortion = Callable[[list[str], list[str]], list[str]]

BROKEN = '[{"e":"markPriceUpdate","E":17'
FOREIGN = (
    '{"e":"aggTrade","E":1791382992000,"s":"BTCUSDT","a":26129,"p":"83067.30","m":true}',
    '{"e":"contractInfo","E":1791382992000,"s":"BTCUSDT","ct":"PERPETUAL","cs":"TRADING","st":1}',
    '{"stream":"tradingSession","data":{"e":"EquityUpdate","E":1791382992000,"S":"REGULAR"}}',
)
# Valid JSON that is no row: none of it may become a value of any symbol.
MALFORMED = (
    "null",
    "17",
    "[]",
    "{}",
    '"markPriceUpdate"',
    '[null,1,"x",[],{}]',
    '{"e":"markPriceUpdate"}',
    '{"e":"markPriceUpdate","E":"1791382992000","s":"BTCUSDT","p":"1","i":"1","r":"9","T":1}',
    '{"e":"markPriceUpdate","E":0,"s":"BTCUSDT","p":"1","i":"1","r":"9","T":1}',
    '{"e":"markPriceUpdate","E":1.5,"s":"BTCUSDT","p":"1","i":"1","r":"9","T":1}',
    '{"e":"markPriceUpdate","E":1791382992000,"s":7,"p":"1","i":"1","r":"9","T":1}',
    '{"e":"markPriceUpdate","E":1791382992000,"p":"1","i":"1","r":"9","T":1}',
)


def _swap(frames: list[str], held: list[str]) -> list[str]:
    if not held:
        held.extend(frames)
        return []
    late = held.copy()
    held.clear()
    return [*frames, *late]


# What is done to the frames of a push: (these, those held back) -> what is sent. `held` is the
# connection's own list, changed in place.
DISTORTIONS: Mapping[str, Distortion] = {
    "repeat": lambda frames, _: frames * 2,
    "reorder": _swap,
    "broken": lambda frames, _: [BROKEN, *frames],
    "malformed": lambda frames, _: [*MALFORMED, *frames],
    "foreign": lambda frames, _: [*FOREIGN, *frames],
}
