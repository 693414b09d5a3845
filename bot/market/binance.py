"""Binance's wire format, without I/O: frames in, ticks out; requests out as text.

Sources: the venue's "Mark Price Stream" page (fields e E s p i P r T), its change log of
2026-03-16 (`ap`) and 2026-06-30 (`st`: 1 = USDS-M, 2 = COIN-M; both arrive on fstream).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import msgspec

from bot.market.tick import Tick

EVENT = "markPriceUpdate"
SHUTDOWN = "serverShutdown"  # the venue's notice; documented for spot, heeded here as well
COIN_MARGINED = 2
_MAX_WORDS = 200  # characters of the venue's own words
_TIME_LIMIT = 1 << 1000  # larger integers fit no float; they name no time


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame held: ticks in the order of their rows, and what was passed over.

    `skipped` counts by reason: "foreign" (not a mark price update), "coin-m", "incomplete" (no
    name or no event time). `answer` is the venue's reply to a request, where it was one. `stream`
    is the name that the combined wrapper gave. `leaving`: the venue says that it is going to close
    this connection.
    """

    ticks: tuple[Tick, ...] = ()
    skipped: Counter[str] = field(default_factory=Counter)
    answer: "Answer | None" = None
    stream: str = ""
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to a request: an acknowledgement, or an error with the venue's words."""

    id: int | None
    error: str = ""


class BrokenFrameError(ValueError):
    """The frame is not JSON in UTF-8."""


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
        BrokenFrameError: the frame is not JSON in UTF-8.
    """
    try:
        _check_text(frame)
        return _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenFrameError(str(error)) from None


def _check_text(body: bytes) -> None:
    """The decoder does not look into texts that it skips."""
    if not body.isascii():
        body.decode()


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
        return _rows(payload, wrapped.stream)
    if payload[:1] == b"{":
        return _object(payload, wrapped.stream)
    return Frame(skipped=Counter(foreign=1), stream=wrapped.stream)


def _rows(body: bytes, stream: str = "") -> Frame:
    skipped: Counter[str] = Counter()
    try:
        rows = _decode_rows(body)
    except msgspec.ValidationError:
        judged = [_judge(bytes(row), skipped) for row in _decode_list(body)]
        rows = [tick for tick in judged if tick is not None]
    return Frame(_sort(rows, skipped), skipped, stream=stream)


def _object(body: bytes, stream: str = "") -> Frame:
    skipped: Counter[str] = Counter()
    row: Tick | None
    try:
        row = _decode_row(body)
        event = row.event
    except msgspec.ValidationError:
        raw = _decode_object(body)
        answer, event = _answer(raw), _plain(raw.get("e"))
        if answer is not None:
            return Frame(answer=answer, stream=stream)
        row = _judge(body, skipped)
    ticks = _sort([row] if row is not None else [], skipped)
    return Frame(ticks, skipped, stream=stream, leaving=event == SHUTDOWN)


def _sort(rows: list[Tick], skipped: Counter[str]) -> tuple[Tick, ...]:
    ticks = []
    for row in rows:
        if row.event != EVENT:
            skipped["foreign"] += 1
        elif row.margin == COIN_MARGINED:
            skipped["coin-m"] += 1
        elif not row.symbol or not 0 < row.event_time < _TIME_LIMIT:
            skipped["incomplete"] += 1
        elif 0 <= row.next_funding_time < _TIME_LIMIT:
            ticks.append(row)
        else:
            ticks.append(msgspec.structs.replace(row, next_funding_time=0))
    return tuple(ticks)


def _judge(body: bytes, skipped: Counter[str]) -> Tick | None:
    """One row that does not have the usual types, judged field by field."""
    try:
        raw = _decode_object(body)
    except msgspec.ValidationError:
        skipped["foreign"] += 1
        return None
    values = {key: _plain(raw.get(key)) for key in ("e", "s", "E", "T", "st")}
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


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value < _TIME_LIMIT


def _plain(raw: msgspec.Raw | None) -> Any:
    """A value as Python has it; None for one that is missing or too large for it."""
    if raw is None:
        return None
    try:
        return _decode_any(raw)
    except msgspec.ValidationError:
        return None


def _number_text(raw: msgspec.Raw | None) -> str:
    """The text of a JSON number or string; "" for anything else."""
    if raw is None:
        return ""
    body = bytes(raw).strip()
    if body[:1] == b'"':
        return str(_decode_any(body))
    return body.decode() if body[:1] in b"-0123456789" else ""


def _answer(raw: dict[str, msgspec.Raw]) -> Answer | None:
    """The two error shapes that the venue documents and sends, and the acknowledgement."""
    if "e" in raw:
        return None
    body = {key: _plain(raw.get(key)) for key in ("id", "error", "code", "msg")}
    request = body["id"] if type(body["id"]) is int else None
    error = body["error"] if "error" in raw else body if "code" in raw and "msg" in raw else None
    if isinstance(error, dict):
        words = f"{error.get('msg', 'unknown error')} (code {error.get('code')})"
        return Answer(request, words[:_MAX_WORDS])
    return Answer(request) if "result" in raw and "id" in raw else None


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


def is_coin_margined(symbol: str) -> bool:
    """Whether a name is a COIN-M contract's: `BTCUSD_PERP`, `BTCUSD_261225`.

    Those are quoted in USD and always have a suffix; a USDS-M name ends its quote asset in a
    letter more (`BTCUSDT_261225`). REST rows carry no `st` that would say it.
    """
    return symbol.rpartition("_")[0].endswith("USD")


def premium_ticks(body: bytes) -> tuple[Tick, ...]:
    """The ticks of a GET /fapi/v1/premiumIndex answer: one object, or an array of them.

    `lastFundingRate` is the stream's r, the estimate for the settlement at nextFundingTime. COIN-M
    rows, which the venue mixes in, are passed over as they are in the stream.

    Raises:
        BrokenFrameError: the answer is not JSON in UTF-8, or is neither of the two.
    """
    try:
        _check_text(body)
        many = body.strip()[:1] == b"["
        rows = _decode_list(body) if many else [_decode_object(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenFrameError(str(error)) from None
    judged = (_premium(row) for row in rows)
    return tuple(tick for tick in judged if tick is not None)


def _premium(row: msgspec.Raw | dict[str, msgspec.Raw]) -> Tick | None:
    try:
        raw = _decode_object(row) if isinstance(row, msgspec.Raw) else row
    except msgspec.DecodeError:
        return None
    symbol, event_time = _plain(raw.get("symbol")), _plain(raw.get("time"))
    if not isinstance(symbol, str) or not symbol or not _is_time(event_time):
        return None
    if is_coin_margined(symbol):
        return None
    funding_time = _plain(raw.get("nextFundingTime"))
    return Tick(
        symbol=symbol,
        event_time=event_time,
        mark=_number_text(raw.get("markPrice")),
        index=_number_text(raw.get("indexPrice")),
        settle=_number_text(raw.get("estimatedSettlePrice")),
        rate=_number_text(raw.get("lastFundingRate")),
        next_funding_time=funding_time if _is_time(funding_time) else 0,
        event=EVENT,
    )
