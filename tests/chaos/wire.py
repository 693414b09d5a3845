"""Bytes of a connection that is listened to, made into HTTP heads and websocket messages.

Independent of the libraries on both ends. Sources: RFC 9112 (a head ends with an empty line),
RFC 6455 section 5.2 (frames).
"""

from dataclasses import dataclass

CONTINUATION, TEXT, CLOSE = 0, 1, 8


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a request or an answer, and its headers by lower-case name."""

    line: str
    headers: dict[str, str]

    @property
    def target(self) -> str:
        """Of a request."""
        return self.line.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.line.split(" ")[1])


@dataclass(frozen=True, slots=True)
class Frame:
    """A websocket message, or a control frame."""

    opcode: int
    payload: bytes


class HeadReader:
    """Collects bytes until the head is whole; what comes after it is the `rest`."""

    def __init__(self) -> None:
        self._bytes = b""
        self.head: Head | None = None

    def feed(self, data: bytes) -> bytes:
        """Takes more bytes; returns those that lie behind the head."""
        if self.head is not None:
            return data
        self._bytes += data
        top, mark, rest = self._bytes.partition(b"\r\n\r\n")
        if not mark:
            return b""
        first, *lines = top.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        self.head = Head(first, {name.lower(): value.strip() for name, _, value in pairs})
        return rest


class FrameReader:
    """Bytes into messages; fragments are put together, masks are taken off."""

    def __init__(self) -> None:
        self._bytes = b""
        self._message = b""
        self._opcode = TEXT

    def feed(self, data: bytes) -> list[Frame]:
        self._bytes += data
        found = []
        while (frame := self._next()) is not None:
            found.append(frame)
        return found

    def _next(self) -> Frame | None:
        while (raw := self._cut()) is not None:
            final, opcode, payload = raw
            if opcode >= CLOSE:
                return Frame(opcode, payload)
            if opcode != CONTINUATION:
                self._opcode, self._message = opcode, b""
            self._message += payload
            if final:
                return Frame(self._opcode, self._message)
        return None

    def _cut(self) -> tuple[bool, int, bytes] | None:
        """The first frame that is whole: final, opcode, payload."""
        data = self._bytes
        if len(data) < 2:
            return None
        masked, length, at = data[1] >> 7, data[1] & 127, 2
        if length >= 126:
            wide = 2 if length == 126 else 8
            length, at = int.from_bytes(data[2 : 2 + wide]), 2 + wide
        end = at + 4 * masked + length
        if len(data) < end:
            return None
        payload = data[at + 4 * masked : end]
        if masked:
            key = (data[at : at + 4] * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)
        self._bytes = data[end:]
        return bool(data[0] >> 7), data[0] & 15, payload
