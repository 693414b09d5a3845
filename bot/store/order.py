"""Whose turn it is: the order within a chat, what one lease takes of it, what is held. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from bot.store.records import Held, OutboxKind, OutboxRow, OutboxStatus

UNSENT = frozenset({OutboxStatus.NEW, OutboxStatus.LEASED, OutboxStatus.UNCERTAIN})
RULE_ENDED = "the rule ended before this was sent"
SUMMED = "it fired too often; a summary told of it"
TOGETHER = 5_000  # rows of a chat that one lease claims at most
PASSING = 5  # replies that may go before an alert that could go
HASTEN_AGAIN = 300_000  # ms; as long as what may have arrived ever waits for its next attempt

FIRST, SOON, QUEUED = -1, 0, 1  # lanes


def lane(kind: OutboxKind) -> int:
    """The lower lane goes first within a chat.

    What has begun to arrive is completed, then a person waits for the reply.
    """
    return {OutboxKind.REST: FIRST, OutboxKind.REPLY: SOON}.get(kind, QUEUED)


class Front(msgspec.Struct, frozen=True):
    """The waiting row that is the first of its topic and lane."""

    topic: int | None
    lane: int
    id: int
    not_before: int


class Overtaken(msgspec.Struct, frozen=True):
    """How many replies of a chat went while alerts waited."""

    replies: int = 0
    up_to: int = 0  # rows up to that id have let enough pass


class Line(msgspec.Struct, frozen=True):
    """What the turn of a chat depends on; `lease_until` is its last lease's end, 0: there is none.

    Nothing of a chat is sent while another row of it is.
    """

    fronts: list[Front]
    lease_until: int
    disabled: str
    not_before: int
    overtaken: Overtaken


def turn(line: Line) -> tuple[int, int] | None:
    """When a chat's next rows may be leased (epoch ms) and the first of them then.

    None where nothing waits, or the chat is disabled.
    """
    fronts = _open(line.fronts)
    if line.disabled or not fronts:
        return None
    due_at = max(min(front.not_before for front in fronts), line.lease_until, line.not_before)
    _, first_id = min((front.lane, front.id) for front in fronts if front.not_before <= due_at)
    return due_at, first_id


def next_of(line: Line, now: int) -> Front:
    """Who is next in a chat whose turn it is: what has let enough replies pass lets no more."""

    def place(front: Front) -> tuple[int, int]:
        waited = front.lane == QUEUED and front.id <= line.overtaken.up_to
        return (FIRST if waited else front.lane), front.id

    return min((each for each in _open(line.fronts) if each.not_before <= now), key=place)


def _open(fronts: Sequence[Front]) -> list[Front]:
    """Those whose turn may come: a message that has begun in a topic is completed before all."""
    begun = {front.topic for front in fronts if front.lane == FIRST}
    return [front for front in fronts if front.lane == FIRST or front.topic not in begun]


def overtaken(before: Overtaken, newest: int | None) -> Overtaken:
    """After a reply went; `newest` is the highest id if an alert behind `up_to` waits, or None."""
    if newest is None:
        return msgspec.structs.replace(before, replies=0)
    if before.replies + 1 < PASSING:
        return msgspec.structs.replace(before, replies=before.replies + 1)
    return Overtaken(up_to=newest)


def together(rows: Iterable[OutboxRow], now: int) -> list[OutboxRow]:
    """The rows that one lease claims of a chat whose turn it is, as they were before.

    `rows` are the waiting ones of a topic and lane in order. The first goes alone unless it is an
    alert: alerts go together as far as they follow each other, all of them doubtful or none (what
    may have arrived is not mixed with what is told for the first time).
    """
    taken: list[OutboxRow] = []
    for row in rows:
        if row.not_before > now or (taken and not _alike(taken[0], row)):
            break
        taken.append(row)
        if row.kind is not OutboxKind.ALERT or len(taken) == TOGETHER:
            break
    return taken


def leased(row: OutboxRow, until: int) -> OutboxRow:
    return msgspec.structs.replace(
        row,
        status=OutboxStatus.LEASED,
        attempts=row.attempts + 1,
        lease=row.lease + 1,
        doubtful=_doubtful(row),
        lease_until=until,
    )


def _doubtful(row: OutboxRow) -> bool:
    return row.doubtful or row.status is not OutboxStatus.NEW


def _alike(first: OutboxRow, row: OutboxRow) -> bool:
    kinds = first.kind, row.kind
    return kinds == (OutboxKind.ALERT, OutboxKind.ALERT) and _doubtful(first) == _doubtful(row)


def ended(row: OutboxRow) -> OutboxRow:
    """An unsent alert whose rule ended: dead, but one that is under way only bears the mark."""
    if row.status is OutboxStatus.LEASED:
        return msgspec.structs.replace(row, error=RULE_ENDED)
    return dead(row, RULE_ENDED)


def dead(row: OutboxRow, reason: str) -> OutboxRow:
    return msgspec.structs.replace(
        row, status=OutboxStatus.DEAD, held=Held.NO, lease_until=0, error=reason
    )


def lapsed(row: OutboxRow) -> OutboxRow:
    """A leased row whose sender is gone: it may have arrived, and is tried again."""
    waits = msgspec.structs.replace(
        row, status=OutboxStatus.UNCERTAIN, doubtful=True, lease_until=0
    )
    return ended(waits) if row.error == RULE_ENDED else waits


def held(row: OutboxRow, *, paused: bool) -> OutboxRow:
    """A row as it is where its rule is paused in its chat, or not: alerts that wait are held.

    What the next summary tells of stays held for that.
    """
    if row.held is Held.FLAP:
        return row
    waits = row.status in (OutboxStatus.NEW, OutboxStatus.UNCERTAIN)
    reason = Held.PAUSE if paused and waits and row.kind is OutboxKind.ALERT else Held.NO
    return row if row.held is reason else msgspec.structs.replace(row, held=reason)


def settled(stored: OutboxRow | None, row: OutboxRow) -> OutboxRow | None:
    """A leased row with its outcome; None where its lease is not the one that is stored.

    An attempt changes what it can find out, never what the row is or whose. What is to be tried
    again is dead where its rule ended in the meantime.
    """
    if stored is None or not _is_leased_as(stored, row):
        return None
    lease_until = row.lease_until if row.status is OutboxStatus.LEASED else 0
    if stored.error == RULE_ENDED and row.status in UNSENT:
        return ended(msgspec.structs.replace(stored, status=row.status, lease_until=lease_until))
    return msgspec.structs.replace(
        stored,
        status=row.status,
        topic=row.topic,
        payload=row.payload,
        attempts=row.attempts,
        doubtful=row.doubtful,
        not_before=row.not_before,
        lease_until=lease_until,
        message_id=row.message_id,
        sent_at=row.sent_at,
        error=row.error,
    )


def unleased(stored: OutboxRow | None, row: OutboxRow, before: OutboxRow) -> OutboxRow | None:
    """A leased row as it was `before` its lease; None where the stored lease is another one.

    The number of the lease is used up.
    """
    if stored is None or not _is_leased_as(stored, row):
        return None
    undone = msgspec.structs.replace(
        stored,
        status=before.status,
        attempts=before.attempts,
        doubtful=before.doubtful,
        lease_until=before.lease_until,
    )
    return ended(undone) if stored.error == RULE_ENDED else undone


def _is_leased_as(stored: OutboxRow, row: OutboxRow) -> bool:
    return stored.status is OutboxStatus.LEASED and stored.lease == row.lease


def buried(stored: OutboxRow | None, row: OutboxRow, reason: str) -> OutboxRow | None:
    """A row that is not worth sending any more; None where it is not as it was given."""
    if stored is None or stored.status not in UNSENT:
        return None
    if (stored.status, stored.lease) != (row.status, row.lease):
        return None
    return dead(stored, reason)


def hastened(row: OutboxRow, now: int) -> OutboxRow | None:
    """A row whose wait is cut short; None where it has to wait.

    What may have arrived is repeated out of turn only once in a while: the spacing of its attempts
    keeps copies few, and a server that answers some chats but not this one is no reason to undo it.
    """
    if row.status not in UNSENT or row.not_before <= now:
        return None
    if not _doubtful(row):
        return msgspec.structs.replace(row, not_before=now)
    if row.hastened_at and now < row.hastened_at + HASTEN_AGAIN:
        return None
    return msgspec.structs.replace(row, not_before=now, hastened_at=now)


def too_late(row: OutboxRow, now: int, before: int) -> bool:
    expired = row.expires_at is not None and row.expires_at <= now
    return expired or row.created_at < before
