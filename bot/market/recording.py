"""Recordings: captures that also say, in control lines, what was decided on and when.

A control line is a JSON object with the single key "fundingbot", and in it one kind with its body:
`<µs> {"fundingbot":{"advance":1791382993000}}`. It holds no "e" and no "data", so that a reader
which knows none takes it for something foreign. docs/recording.md lists the kinds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec

from bot.market.binance import BrokenFrameError, Frame, decode_frame
from bot.market.catalog import Catalog, catalog_text, read_catalog_file
from bot.market.tick import Tick

VERSION = 1
PREFIX = b'{"fundingbot":'
MAX_LINE = 16 << 20  # bytes, of any line of a capture; the whole market is 0.2 MB

MOST_TOGETHER = 1_000_000  # frames; those that wait for the engine are bounded by 64 MiB
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_TOGETHER)]
Time = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]  # ms since 1970


class ReceivedFrame(Protocol):
    """A frame as it came: when (local clock, µs since 1970), its bytes, and its ticks."""

    @property
    def at(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def ticks(self) -> tuple[Tick, ...]: ...


@dataclass(frozen=True, slots=True)
class Control:
    """A control line's kind and its body, JSON. The kind "" is of a body that has not one kind."""

    kind: str
    body: bytes


class ControlError(ValueError):
    """A control line cannot be obeyed; the message says why."""


class Head(msgspec.Struct, frozen=True):
    """The first line of a file: of which recording (a random name) it is which part, from 0."""

    recording: str
    part: Annotated[int, msgspec.Meta(ge=0)]
    began: Time  # local clock
    version: int = VERSION
    program: str = ""


class Missing(msgspec.Struct, frozen=True):
    """What could not be written where this line stands: nobody knows what was in it."""

    frames: int
    decisions: int


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run ends here and all of it is written; or it goes on in the file of part `next`."""

    next: Annotated[int, msgspec.Meta(ge=0)] | None = None


def parse_control(body: bytes) -> Control | None:
    """The control line that a line is; None where it is an ordinary frame or broken."""
    if not body.startswith(PREFIX):
        return None
    try:
        held = _decode_members(body)
        if len(held) != 1:
            return None
        (inside,) = held.values()
    except msgspec.DecodeError:
        return None
    try:
        kinds = _decode_members(inside)
    except msgspec.DecodeError:
        kinds = {}
    if len(kinds) != 1:
        return Control("", bytes(inside))
    ((kind, told),) = kinds.items()
    return Control(kind, bytes(told))


def control_line(at: int, kind: str, body: object) -> bytes:
    """A line of the file; `at` is the local clock, µs since 1970."""
    return b'%d {"fundingbot":{"%b":%b}}\n' % (at, kind.encode(), _encode(body))


def frame_line(frame: ReceivedFrame) -> bytes:
    """A frame as it was received, on one line: no text of JSON holds a line's end."""
    return b"%d %b\n" % (frame.at, frame.body.replace(b"\n", b" "))


def rows_lines(at: int, ticks: Sequence[Tick], frames: Sequence[ReceivedFrame]) -> list[bytes]:
    """What was decided on at once. The common case, one frame as it came, is its line alone.

    Else `together` says how many frames make one batch, or `held` how many came and were not
    decided on as they stand: the `rows` behind them were.
    """
    lines = [frame_line(frame) for frame in frames]
    whole = tuple(tick for frame in frames for tick in frame.ticks) == tuple(ticks)
    if frames and whole:
        return lines if len(lines) == 1 else [control_line(at, "together", len(lines)), *lines]
    if frames:
        lines.insert(0, control_line(at, "held", len(lines)))
    return [*lines, control_line(at, "rows", ticks)]


def catalog_line(at: int, catalog: Catalog) -> bytes:
    return control_line(at, "catalog", msgspec.Raw(catalog_text(catalog).encode()))


def read_body(control: Control) -> Any:
    """The body of a control line of a kind of `BODIES`, checked.

    Raises:
        ControlError: it is not what its kind holds.
    """
    if control.kind == "rows":
        return _read_rows(control)
    try:
        return BODIES[control.kind].decode(control.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(f'the control line "{control.kind}" is malformed: {error}') from None


def _read_rows(control: Control) -> Frame:
    """Rows with the limits of the stream: those that the stream would pass over are counted."""
    if not control.body.lstrip().startswith(b"["):
        raise ControlError('the control line "rows" is malformed: it is no array')
    try:
        return decode_frame(control.body)
    except BrokenFrameError as error:
        raise ControlError(f'the control line "rows" is malformed: {error}') from None


def read_catalog(control: Control) -> Catalog:
    """The catalog of a control line.

    Raises:
        ControlError: as above.
    """
    try:
        return read_catalog_file(control.body)
    except ValueError as error:
        raise ControlError(f'the control line "catalog" is malformed: {error}') from None


_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
BODIES: Mapping[str, msgspec.json.Decoder[Any]] = {
    "head": msgspec.json.Decoder(Head),
    "advance": msgspec.json.Decoder(Time),
    "anew": msgspec.json.Decoder(Time),
    "together": msgspec.json.Decoder(Count),
    "held": msgspec.json.Decoder(Count),
    "end": msgspec.json.Decoder(End),
    "missing": msgspec.json.Decoder(Missing),
}
