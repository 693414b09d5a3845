"""What is pushed in one moment, shared by all connections."""

from collections.abc import Callable, Mapping

from bot.simulator.prices import Row


class Payloads:
    """The rows of one push as JSON, written when somebody first asks and then shared.

    `symbols` are those of this push in the venue's order: TradFi contracts or all others.
    `third` marks every third push, when the 3 s streams speak as well.
    """

    def __init__(
        self, symbols: Mapping[str, None], row: Callable[[str], Row], *, third: bool
    ) -> None:
        self.third = third
        self._symbols = symbols
        self._row = row
        self._written: dict[str, str] = {}
        self._array = ""

    def of(self, symbol: str | None) -> str:
        """One symbol's row, or the array of all with None; "" where this push has none."""
        if symbol is not None:
            return self._of_symbol(symbol) if symbol in self._symbols else ""
        if not self._array and self._symbols:
            self._array = f"[{','.join(map(self._of_symbol, self._symbols))}]"
        return self._array

    def _of_symbol(self, symbol: str) -> str:
        if symbol not in self._written:
            self._written[symbol] = self._row(symbol).json()
        return self._written[symbol]
