"""What was measured, and the table that shows it beside what was promised."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.simulator.counts import Counts
from tests.chaos.delivered import Row
from tests.chaos.told import Told


@dataclass(frozen=True)
class Noticed:
    """How many seconds something took (None: it never came), and how many it may take."""

    name: str
    took: float | None
    within: float


@dataclass
class Figures:
    """Of one test, over all its programs."""

    noticed: list[Noticed] = field(default_factory=list)
    again: list[Noticed] = field(default_factory=list)
    programs: int = 0
    rows: int = 0
    told: int = 0
    most_connects: int = 0
    busiest_second: int = 0
    most_streams: int = 0
    most_weight: int = 0

    def count(self, rows: Sequence[Row], told: Sequence[Told]) -> None:
        self.programs += 1
        self.rows += len(rows)
        self.told += len(told)

    def limits(self, counts: Counts) -> None:
        self.most_connects = max(self.most_connects, counts.busiest(300))
        self.busiest_second = max(self.busiest_second, counts.busiest_second)
        self.most_streams = max(self.most_streams, counts.most_streams)
        self.most_weight = max(self.most_weight, counts.most_weight)

    def table(self, title: str) -> str:
        """One line a figure: what, the worst that was measured, the bar."""
        lines = [f"{title}: {self.programs} programs, {self.rows} rows, {self.told} alerts told"]
        for heading, found in (("noticed", self.noticed), ("rows again", self.again)):
            for name in dict.fromkeys(each.name for each in found):
                worst = [each for each in found if each.name == name]
                took = [each.took for each in worst]
                words = (
                    "never" if None in took else f"{max(t for t in took if t is not None):.1f} s"
                )
                lines.append(_line(f"{name}: {heading}", words, f"{worst[0].within:g} s"))
        lines += [
            _line("connects within 5 minutes", str(self.most_connects), "30"),
            _line("messages within a second", str(self.busiest_second), "10"),
            _line("streams on a connection", str(self.most_streams), "the setting, at most 1024"),
            _line("REST weight within a minute", str(self.most_weight), "2400"),
        ]
        return "\n".join(lines)


def _line(what: str, measured: str, bar: str) -> str:
    return f"  {what:<42} {measured:>8}   (at most {bar})"
