"""How a chat's row takes up what others know of it. Pure.

Chat commands and deliveries hold copies of the row and write them back at any time: neither may
undo what the other has found out meanwhile.
"""

from collections.abc import Collection, Sequence

import msgspec

from bot.store.records import ChatRow, Watch


def committed(stored: ChatRow | None, given: ChatRow) -> ChatRow:
    """By a commit: as given, but `not_before` and `next_watch` never go down."""
    if stored is None:
        return given
    return msgspec.structs.replace(
        given,
        not_before=max(stored.not_before, given.not_before),
        next_watch=max(stored.next_watch, given.next_watch),
    )


def changed(now: ChatRow | None, base: ChatRow | None, given: ChatRow) -> ChatRow:
    """A chat's row as it is now, with what was changed of `base` to get the given one."""
    if now is None or base is None or base.chat_id != given.chat_id:
        return given
    names = given.__struct_fields__
    changed = {n: getattr(given, n) for n in names if getattr(given, n) != getattr(base, n)}
    return msgspec.structs.replace(now, **changed)


def delivered(stored: ChatRow | None, given: ChatRow) -> ChatRow:
    """By the outcome of a delivery: only `disabled` and `not_before` of a known chat change."""
    if stored is None:
        return given
    return msgspec.structs.replace(stored, disabled=given.disabled, not_before=given.not_before)


def moved(left: ChatRow | None, entered: ChatRow | None, chat_id: int) -> ChatRow:
    """The row of the supergroup that a group became; what people had set in the group stays."""
    row = left or entered or ChatRow(chat_id)
    other = entered or row
    return msgspec.structs.replace(
        row,
        chat_id=chat_id,
        kind="supergroup",
        disabled="",
        not_before=max(row.not_before, other.not_before),
        next_watch=max(row.next_watch, other.next_watch),
    )


def renumbered(
    watches: Sequence[Watch], taken: Collection[int], chat: ChatRow
) -> tuple[list[Watch], ChatRow]:
    """Watches as those of another chat, and that chat's row after it.

    They keep their numbers, but one that is taken there gets the chat's next.
    """
    result: list[Watch] = []
    following = max(chat.next_watch, *(number + 1 for number in taken), 1)
    following = max(following, *(watch.number + 1 for watch in watches), 1)
    for watch in sorted(watches, key=lambda watch: watch.number):
        number = watch.number
        if number in taken:
            number, following = following, following + 1
        result.append(msgspec.structs.replace(watch, chat_id=chat.chat_id, number=number))
    return result, msgspec.structs.replace(chat, next_watch=following)
