"""Binance's wire format, without I/O: frames in, ticks out; requests out as text.

Sources: the venue's "Mark Price Stream" page (fields e E s p i P r T), its change log of
2026-03-16 (`ap`) and 2026-06-30 (`st`: 1 = USDS-M, 2 = COIN-M; both arrive on fstream).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bot.market.tick import Tick

EVENT = "markPriceUpdate"
COIN_MARGINED = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame held: ticks in the order of their rows, and what was passed over.

    `skipped` counts by reason: "foreign" (not a mark price update), "coin-m", "incomplete" (no
    name or no event time). `answer` is the venue's reply to a request, where it was one.
    """

    ticks: tuple[Tick, ...] = ()
    skipped: Counter[str] = field(default_factory=Counter)
    answer: "Answer | None" = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to a request: an acknowledgement, or an error with the venue's words."""

    id: int | None
    error: str = ""


class BrokenFrameError(ValueError):
    """The frame is not JSON."""


class _Wrapped(msgspec.Struct):
    data: msgspec.Raw
    stream: str


_decode_wrapped = msgspec.json.Decoder(_Wrapped).decode
_decode_rows = msgspec.json.Decoder(list[Tick]).decode
_decode_row = msgspec.json.Decoder(Tick).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


def decode_frame(frame: bytes) -> Frame:
    """The ticks of one frame: a raw object, a raw array, or the combined wrapper.

    Raises:
        BrokenFrameError: the frame is not JSON.
    """
    try:
        return _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenFrameError(str(error)) from None


def _decode(frame: bytes) -> Frame:
    body = frame.strip()
    if body[:1] == b"[":
        return _rows(body)
    if body[:1] != b"{":
        _decode_any(body)  # raises where it is not JSON at all
        return Frame(skipped=Counter(foreign=1))
    try:
        wrapped = _decode_wrapped(body)
    except msgspec.ValidationError:
        return _object(body)
    payload = bytes(wrapped.data)
    if payload[:1] == b"[":
        return _rows(payload)
    if payload[:1] == b"{":
        return _object(payload)
    return Frame(skipped=Counter(foreign=1))


def _rows(body: bytes) -> Frame:
    try:
        return _sort(_decode_rows(body))
    except msgspec.ValidationError:
        skipped: Counter[str] = Counter()
        ticks = [_judge(bytes(row), skipped) for row in _decode_list(body)]
        frame = _sort([tick for tick in ticks if tick is not None])
        return Frame(frame.ticks, frame.skipped + skipped)


def _object(body: bytes) -> Frame:
    try:
        return _sort([_decode_row(body)])
    except msgspec.ValidationError:
        answer = _answer(_decode_any(body))
        if answer is not None:
            return Frame(answer=answer)
        skipped: Counter[str] = Counter()
        tick = _judge(body, skipped)
        frame = _sort([tick] if tick is not None else [])
        return Frame(frame.ticks, frame.skipped + skipped)


def _sort(rows: list[Tick]) -> Frame:
    ticks = tuple(row for row in rows if _reason(row) == "")
    if len(ticks) == len(rows):
        return Frame(ticks)
    return Frame(ticks, Counter(reason for row in rows if (reason := _reason(row))))


def _reason(row: Tick) -> str:
    if row.event != EVENT:
        return "foreign"
    if row.margin == COIN_MARGINED:
        return "coin-m"
    return "" if row.event_time > 0 and row.symbol else "incomplete"


def _judge(body: bytes, skipped: Counter[str]) -> Tick | None:
    """One row that does not have the usual types, judged field by field."""
    try:
        raw = _decode_object(body)
    except msgspec.ValidationError:
        skipped["foreign"] += 1
        return None
    values = {key: _decode_any(raw[key]) for key in ("e", "s", "E", "T", "st") if key in raw}
    if values.get("e") != EVENT:
        skipped["foreign"] += 1
        return None
    symbol, event_time = values.get("s"), values.get("E")
    if not isinstance(symbol, str) or not symbol or not _is_time(event_time):
        skipped["coin-m" if values.get("st") == COIN_MARGINED else "incomplete"] += 1
        return None
    funding_time = values.get("T")
    return Tick(
        symbol=symbol,
        event_time=event_time,
        mark=_number_text(raw.get("p")),
        index=_number_text(raw.get("i")),
        settle=_number_text(raw.get("P")),
        rate=_number_text(raw.get("r")),
        next_funding_time=funding_time if _is_time(funding_time) else 0,
        event=EVENT,
        margin=COIN_MARGINED if values.get("st") == COIN_MARGINED else 1,
    )


def _is_time(value: Any) -> bool:
    return type(value) is int and value > 0


def _number_text(raw: msgspec.Raw | None) -> str:
    """The text of a JSON number or string; "" for anything else."""
    if raw is None:
        return ""
    body = bytes(raw).strip()
    if body[:1] == b'"':
        return str(_decode_any(body))
    return body.decode() if body[:1] in b"-0123456789" else ""


def _answer(body: Any) -> Answer | None:
    """The two error shapes that the venue documents and sends, and the acknowledgement."""
    if not isinstance(body, dict) or "e" in body:
        return None
    request = body.get("id") if type(body.get("id")) is int else None
    error = body.get("error", body if "code" in body and "msg" in body else None)
    if isinstance(error, dict):
        return Answer(request, f"{error.get('msg', 'unknown error')} (code {error.get('code')})")
    return Answer(request) if "result" in body and "id" in body else None


def stream_request(method: str, streams: Iterable[str], request_id: int) -> str:
    """A SUBSCRIBE or UNSUBSCRIBE request as the venue documents it."""
    body = {"method": method, "params": list(streams), "id": request_id}
    return msgspec.json.encode(body).decode()


def symbol_stream(symbol: str, *, every_second: bool) -> str:
    """The stream of one symbol; the name is lower case, else the venue acks and stays silent."""
    return f"{symbol.lower()}@markPrice" + ("@1s" if every_second else "")


def array_stream(*, every_second: bool) -> str:
    """The stream of all symbols; TradFi symbols come in a frame of their own."""
    return "!markPrice@arr" + ("@1s" if every_second else "")
