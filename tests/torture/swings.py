"""A market whose symbols go over a rule's threshold and back, and the rules that tell of it.

It moves on only when a step is known to be decided on: a step whose commit a kill may have cut off
is taken again in the next life, as a feed would bring it again. So what every chat must have been
told follows from the steps alone.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.market.tick import Tick
from tests.torture.ledger import Alert, high, low

MINUTE = 60_000  # ms
SPACING = 24 * MINUTE  # between two steps of a symbol: what fires too often is summed up
REPEAT = 60 * MINUTE  # of the rules that remind
MARGIN = 10_000  # ms
FUNDING_EVERY = 8 * 60 * MINUTE
MUCH = 8  # alerts that wait in a chat; a table shows 20 rows, and the others behind a button
LINES = 100  # in the note of the rule that talks too much

Address = tuple[int, int | None]  # chat and topic
ADMIN = 7
FORUM = -1_002
CHATS = (*range(101, 109), -1_001, FORUM, -1_003)
TOPICS = (42, 43)


@dataclass(frozen=True)
class FileRule:
    """A rule: its letter begins its symbols' names."""

    letter: str
    to: tuple[Address, ...]
    reminds: bool = False
    talks: bool = False  # its messages need several parts where two of them go together

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(f"{self.letter}{number}USDT" for number in range(8))

    def line(self) -> str:
        """Of a rules file."""
        names = ", ".join(_name(address) for address in self.to)
        more = ", repeat: 1h" if self.reminds else ""
        when = "rate > 0.15%"
        if self.talks:
            when += " and mark < 999999999999999999999999999999" * 35
            more += ', note: "' + "".join(f"§{line:02}🔹🔹" for line in range(LINES)) + '"'
        return (
            f"{{name: rule-{self.letter}, symbols: [{', '.join(self.symbols)}], "
            f'when: "{when}", to: [{names}]{more}}}'
        )


RULES = (
    FileRule("A", ((101, None),)),
    FileRule("B", ((102, None),)),
    FileRule("C", ((103, None), (105, None))),
    FileRule("D", ((-1_001, None),)),
    FileRule("E", ((FORUM, 42),)),
    FileRule("F", ((FORUM, 43), (106, None))),
    FileRule("G", ((102, None), (-1_003, None), (107, None))),
    FileRule("H", ((108, None), (FORUM, 43)), reminds=True),
    FileRule("I", ((104, None),), talks=True),
)
OF_SYMBOL = {symbol: rule for rule in RULES for symbol in rule.symbols}


def _name(address: Address) -> str:
    return f"c{address[0]}t{address[1]}".replace("-", "m")


def write_rules(path: Path) -> None:
    addresses = dict.fromkeys(address for rule in RULES for address in rule.to)
    chats = [
        f"  {_name(address)}: {{id: {address[0]}"
        + (f", topic: {address[1]}}}" if address[1] else "}")
        for address in addresses
    ]
    rules = [f"  - {rule.line()}" for rule in RULES]
    path.write_text("\n".join(["version: 1", "chats:", *chats, "rules:", *rules]), "utf-8")


@dataclass(frozen=True)
class Step:
    """A symbol's next move; steps are counted from 1."""

    symbol: str
    count: int

    @property
    def alert(self) -> Alert:
        """What it is told as."""
        kinds = ("fired", "reminded", "resolved") if self._reminds else ("fired", "resolved")
        number, kind = divmod(self.count - 1, len(kinds))
        return Alert(kinds[kind], self.symbol, number + 1)

    @property
    def rate(self) -> str:
        return low(self.alert.number) if self.alert.kind == "resolved" else high(self.alert.number)

    @property
    def _reminds(self) -> bool:
        return OF_SYMBOL[self.symbol].reminds


@dataclass
class Swings:
    """Where every symbol stands. `batches` are the steps that were decided on, frame by frame."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OF_SYMBOL, 0))
    due: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OF_SYMBOL, 0))
    batches: list[list[Step]] = field(default_factory=list)
    pending: list[Step] = field(default_factory=list)  # perhaps decided on

    def choose(self, chance: random.Random, now: int, waiting: Mapping[int, int]) -> list[Step]:
        """Steps that may follow now: a few of any symbols, or several of one rule.

        None for chats in which much is `waiting` already.
        """
        free = [rule for rule in RULES if all(waiting[chat] < MUCH for chat, _ in rule.to)]
        rules = free if chance.random() < 0.7 or not free else [chance.choice(free)]
        ready = [name for rule in rules for name in rule.symbols if self.due[name] <= now]
        most = chance.choice((1, 1, 2, 3)) if len(rules) > 1 else 6
        names = chance.sample(ready, min(len(ready), most))
        return [Step(name, self.counts[name] + 1) for name in names]

    def take(self, steps: list[Step], now: int) -> None:
        """They are decided on."""
        self.batches.append(steps)
        self.pending = []
        for step in steps:
            self.counts[step.symbol] = step.count
            reminder = OF_SYMBOL[step.symbol].reminds and step.alert.kind == "fired"
            self.due[step.symbol] = now + (REPEAT + MARGIN if reminder else SPACING)

    def standing(self) -> list[Step]:
        """The last step of every symbol, but for those that might remind of it."""
        return [
            step
            for symbol, count in self.counts.items()
            if count
            and (step := Step(symbol, count))
            and not (OF_SYMBOL[symbol].reminds and step.alert.kind != "resolved")
        ]


def tick(step: Step, now: int) -> Tick:
    until = (now // FUNDING_EVERY + 1) * FUNDING_EVERY
    return Tick(step.symbol, now, "100", "100", "100", step.rate, until, "markPriceUpdate")
