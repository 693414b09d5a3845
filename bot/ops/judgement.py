"""Whether the bot does its work, judged from plain facts; each half says why not, in words.

`alive` is for a supervisor that restarts what is stuck: it holds while the venue or Telegram is
down, which no restart mends. `ready` is for people and heartbeats: somebody who waits for an alert
gets it.
"""

from dataclasses import dataclass

ROW_WITHIN = 10.0  # s; a row of the market comes every second, at the slowest every third
TURN_WITHIN = 10.0  # s; time passes in the engine once a second
ANSWER_WITHIN = 90.0  # s; a poll for commands is answered after 25 s at the latest


@dataclass(frozen=True, slots=True)
class Work:
    """What is judged. Ages are seconds, None of what never happened.

    `blocked` is what keeps messages from being sent, in words. `answer_age` counts only where
    there `is_telegram`: any answer of its, to a poll or to a message.
    """

    turn_age: float  # since time last passed in the engine
    row_age: float | None  # since a row came that was news
    decided_age: float | None  # how old the newest row is that was decided on
    blocked: tuple[str, ...] = ()
    is_telegram: bool = False
    answer_age: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    ok: bool
    text: str


def alive(work: Work) -> Verdict:
    """Whether the engine still takes time; that the loop turns is shown by asking."""
    if work.turn_age > TURN_WITHIN:
        return Verdict(ok=False, text=f"stuck: nothing was decided for {work.turn_age:.0f} s")
    return Verdict(ok=True, text="ok")


def feed(work: Work) -> Verdict:
    """Whether rows flow and are decided on."""
    if work.row_age is None:
        return Verdict(ok=False, text="no row has come yet")
    if work.row_age > ROW_WITHIN:
        return Verdict(ok=False, text=f"no new row for {work.row_age:.0f} s")
    if work.decided_age is None:
        return Verdict(ok=False, text="rows come, but none was decided on yet")
    if work.decided_age > ROW_WITHIN:
        text = f"rows come, but none is newer than {work.decided_age:.0f} s"
        return Verdict(ok=False, text=text)
    return Verdict(ok=True, text="rows flow")


def sender(work: Work) -> Verdict:
    """Whether messages can be sent."""
    if work.blocked:
        return Verdict(ok=False, text=f"messages cannot be sent: {', '.join(work.blocked)}")
    if work.is_telegram and work.answer_age is None:
        return Verdict(ok=False, text="Telegram has not answered yet")
    if work.is_telegram and work.answer_age is not None and work.answer_age > ANSWER_WITHIN:
        text = f"Telegram has not answered for {work.answer_age:.0f} s"
        return Verdict(ok=False, text=text)
    return Verdict(ok=True, text="messages can be sent")


def ready(work: Work) -> Verdict:
    """Whether rows flow and messages can be sent; the text says both."""
    parts = (alive(work), feed(work), sender(work))
    ok = all(part.ok for part in parts)
    said = parts if not parts[0].ok else parts[1:]
    text = "; ".join(part.text for part in said)
    return Verdict(ok, text if ok else f"not ready: {text}")
