"""The rules file: read whole, taken whole, noticed when its content changes.

The last good copy is kept in the database: a file that went bad or away changes nothing.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import msgspec

from bot.app import texts
from bot.app.live import Live
from bot.app.parts import Replacement
from bot.notify.payload import FAULT_OVER
from bot.rules.book import created_key, diff, with_created
from bot.rules.rule import Rule
from bot.rules.rules_file import (
    RulesFile,
    RulesFileError,
    read_rules_file,
    symbol_problems,
)
from bot.rules.yaml_file import Problem
from bot.store.records import OutboxRow

LAST_GOOD = "rules_file"  # the fact with the text of the file that was taken last
CREATED = "rules_created"  # the fact with the first appearance of each rule, JSON
SYMBOLS = "rules_symbols"  # the fact with the unknown names that were told last
FAULT = "rules"
_log = logging.getLogger(__name__)


class RulesFileUnusableError(Exception):
    """The rules file cannot be used, and there is no good copy of an earlier one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the file: its content, or why there is none."""

    content: bytes | None
    problem: str = ""

    @property
    def digest(self) -> str:
        return "" if self.content is None else hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Start:
    """The rules of a start, the problems of a file that is not used, the text that is."""

    file: RulesFile
    problems: tuple[str, ...] = ()
    text: str | None = None


NO_RULES = RulesFile((), MappingProxyType({}), MappingProxyType({}))


def read_file(path: Path) -> Reading:
    try:
        return Reading(path.read_bytes())
    except FileNotFoundError:
        return Reading(None, "it is not there")
    except OSError as error:
        return Reading(None, error.strerror or str(error))


class RulesSource:
    """Watches one rules file. `named` says that RULES_FILE named it: then it must be there."""

    def __init__(self, path: Path, *, named: bool) -> None:
        self.path = path
        self._named = named
        self.said_symbols = ""  # the unknown names that were told last
        self._digest: str | None = None  # of the content that was judged last; "": none was there

    def start(self, facts: Mapping[str, str]) -> "Start":
        """The rules to begin with.

        Raises:
            RulesFileUnusableError: a named file is missing or bad and no good copy is kept.
        """
        self.said_symbols = facts.get(SYMBOLS, "")
        seen = read_file(self.path)
        self._digest = seen.digest
        problems = [f"RULES_FILE: {self.path}: {seen.problem}"]
        if seen.content is not None:
            try:
                file = read_rules_file(seen.content)
            except RulesFileError as error:
                problems = [place(self.path, problem) for problem in error.problems]
            else:
                return Start(file, (), seen.content.decode())
        kept = facts.get(LAST_GOOD)
        if kept is not None:
            try:
                return Start(read_rules_file(kept.encode()), tuple(problems), kept)
            except RulesFileError:  # taken by another version of the program
                _log.warning("The copy of the last good rules cannot be read any more")
        if seen.content is None and not self._named:
            return Start(NO_RULES)
        raise RulesFileUnusableError("\n".join(problems))

    def changed(self) -> Reading | None:
        """The file's new content, where it is another than the one judged last."""
        seen = read_file(self.path)
        if seen.digest == self._digest:
            return None
        self._digest = seen.digest
        return seen

    async def reload(self, seen: Reading, live: Live) -> None:
        """Judges new content; takes it whole or not at all, and tells the admins which."""
        name = self.path.name
        if seen.content is None:
            await live.fault(FAULT, partial(texts.rules_gone, name))
            return
        try:
            file = await asyncio.to_thread(read_rules_file, seen.content)
        except RulesFileError as error:
            lines = [place(self.path, problem) for problem in error.problems]
            live.faults.forget(FAULT)
            await live.fault(FAULT, partial(texts.rules_refused, lines))
            return

        def plan() -> Replacement:
            made = replacement(file, seen, live, self.path, self.said_symbols)
            self.said_symbols = made.facts[SYMBOLS]
            return made

        await live.replace_rules(plan)


def replacement(file: RulesFile, seen: Reading, live: Live, path: Path, said: str) -> Replacement:
    """The book with the rules of a good file; the admins get the difference."""
    desk, wall = live.desk, live.wall()
    known = {created_key(rule): rule.created_at for rule in desk.book.file_rules}
    rules = with_created(file.rules, known, live.now())
    facts = {CREATED: created_text(rules)}
    if seen.content is not None:
        facts[LAST_GOOD] = seen.content.decode()
    change = diff(desk.book.file_rules, rules)
    desk.use_file(file)
    same = [*change.kept, *(pair.new for pair in change.changed if not pair.decides)]
    kept = sum(any(live.engine.on(rule.id)) for rule in same)
    taken = partial(texts.rules_taken, path.name, str(change), kept)
    ends = live.faults.is_active(FAULT)
    live.faults.forget(FAULT)
    notices = live.faults.notices(f"{FAULT_OVER if ends else ''}rules:taken", taken, wall)
    told, fact = symbol_notices(file, live, path, said)
    _log.info("%s taken: %s", path.name, change, extra={"action": "rules_taken"})
    return Replacement(desk.joined(rules), facts | fact, notices + told)


def symbol_notices(
    file: RulesFile, live: Live, path: Path, said: str = ""
) -> tuple[list[OutboxRow], dict[str, str]]:
    """Tells of names that do not trade, unless `said` is just that; the fact that keeps it."""
    problems = [place(path, problem) for problem in symbol_problems(file, live.engine.catalog)]
    fact = {SYMBOLS: "\n".join(problems)}
    if not problems or fact[SYMBOLS] == said:
        return [], fact
    text = partial(texts.unknown_symbols, problems)
    return live.faults.notices("rules:symbols", text, live.wall()), fact


def created_text(rules: Iterable[Rule]) -> str:
    """The first appearance of each rule, as it is kept between runs."""
    return msgspec.json.encode({created_key(rule): rule.created_at for rule in rules}).decode()


def place(path: Path, problem: Problem) -> str:
    """`FILE:LINE:COLUMN: message`."""
    return f"{path}:{problem}"
