"""The switchboard under `/simulator/`: what a script may change while the simulator runs.

    GET /simulator/faults?silent&refuse=451&drop=off      switches on and off
    GET /simulator/row?symbol=BTCUSDT&rate=0.0012         pins parts of a row; none: unpins it
    GET /simulator/counts                                 what clients did, and the venue's limits
    GET /simulator/switches                               every switch and what it does

Each answers with the switches that are on and the counts; 400 says what was wrong. It stays within
reach whatever is switched on.
"""

import json
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from bot.simulator.counts import Counts
from bot.simulator.faults import Faults, described
from bot.simulator.prices import Market, Pin
from bot.simulator.rest import Answer

PREFIX = "/simulator/"


@dataclass(frozen=True)
class Switchboard:
    faults: Faults
    market: Market
    counts: Counts

    def answer(self, target: str) -> Answer:
        """The answer to GET `target`."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            match url.path.removeprefix(PREFIX):
                case "faults":
                    for name, value in query.items():
                        self.faults.set(name, value)
                case "row":
                    self._row(query)
                case "counts":
                    pass
                case "switches":
                    return _answer(200, dict(described()))
                case _:
                    return _answer(404, {"error": "there are faults, row, counts and switches"})
        except ValueError as error:
            return _answer(400, {"error": str(error)})
        return _answer(200, {"faults": self.faults.on(), "counts": self.counts.report()})

    def _row(self, query: dict[str, str]) -> None:
        symbol = query.pop("symbol", "")
        until = query.pop("next_funding_time", None)
        unknown = query.keys() - {"mark", "index", "rate", "settle"}
        if unknown:
            raise ValueError(f"a row has no {', '.join(sorted(unknown))}")
        if query or until is not None:
            time = None if until is None else int(until)
            self.market.pin(symbol, Pin(**query, next_funding_time=time))
        else:
            self.market.unpin(symbol)


def _answer(status: int, body: object) -> Answer:
    return Answer(status, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
