"""Who is served: the book, the chats and their watches, the admins, as they were committed."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from bot.alerts.changes import Ended
from bot.notify.item import Reader
from bot.rules.book import Book
from bot.rules.rule import Chat, Rule, Target
from bot.rules.rules_file import RulesFile
from bot.rules.watch_line import WatchLineError, parse_watch, watch_rule
from bot.store import merge
from bot.store.records import ChatRow, Pause, Watch

TERMINAL = 0  # the chat of a run without Telegram: the terminal
_log = logging.getLogger(__name__)


class Desk:
    """Plain data that commands look at and that decides who is told what."""

    def __init__(
        self, admins: Iterable[int] = (), *, open_to_all: bool = False, telegram: bool = True
    ) -> None:
        self.book = Book()
        self.chats: dict[int, ChatRow] = {}
        self.watches: dict[str, Watch] = {}  # by rule id, in order of creation
        self.pauses: dict[tuple[int, str], Pause] = {}  # by chat and rule id
        self.file_chats: dict[int, Chat] = {}
        self.chat_names: dict[str, Target] = {}  # of the rules file
        self.moved: dict[int, int] = {}  # groups that became supergroups: old id to new
        self.groups: dict[str, list[str]] = {}
        self.claimed_admins: frozenset[int] = frozenset()
        self.claim_code: str | None = None
        self.open_to_all = open_to_all
        self.telegram = telegram
        self._named_admins = frozenset(admins)

    @property
    def admins(self) -> frozenset[int]:
        return self._named_admins | self.claimed_admins

    def use_file(self, file: RulesFile) -> None:
        """Takes chats and groups of a rules file; its rules come with the book."""
        self.file_chats = {chat.target.chat_id: chat for chat in file.chats.values()}
        self.chat_names = {name: chat.target for name, chat in file.chats.items()}
        self.groups = {name: list(entries) for name, entries in file.groups.items()}

    def named(self, name: str) -> Target | None:
        """A chat of the rules file by its name, or any chat by its id, also by an earlier one."""
        if not (name.isascii() and name.removeprefix("-").isdecimal()):
            return self.chat_names.get(name)
        return self.chat_names.get(name) or Target(self.moved.get(int(name), int(name)))

    def targets(self, rule: Rule) -> tuple[Target, ...]:
        """Where a rule's messages go; without targets to the admins."""
        if not self.telegram:
            return (Target(TERMINAL),)
        return rule.targets or tuple(Target(admin) for admin in sorted(self.admins))

    def hears(self, chat_id: int, now: int) -> bool:
        """Not muted, and within reach; the others are told later what is still on."""
        row = self.chats.get(chat_id)
        return row is None or (row.muted_until <= now and not row.disabled)

    def reader(self, chat_id: int) -> Reader:
        """Language and zone of a chat: the file's word, else what the chat has."""
        row = self.chats.get(chat_id) or ChatRow(chat_id)
        said = self.file_chats.get(chat_id)
        language = (said.language if said else None) or row.language or "en"
        return Reader(language, (said.timezone if said else None) or row.timezone)

    def admin_readers(self) -> Sequence[tuple[int, str]]:
        """Each admin's private chat and language; a private chat has the id of its user."""
        chats = sorted(self.admins) if self.telegram else [TERMINAL]
        return [(chat_id, self.reader(chat_id).language) for chat_id in chats]

    def with_watches(self, added: Iterable[Watch], removed: Iterable[tuple[int, int]]) -> Book:
        """Takes watches that were committed; returns the book with their rules."""
        book = self.book
        for chat_id, number in removed:
            rule_id = Watch(chat_id, None, number, "", 0, 0).rule_id
            self.watches.pop(rule_id, None)
            book = book.without_watch(rule_id)
        for watch in added:
            self.watches[watch.rule_id] = watch
            rule = self._watch_rule(watch)
            book = book if rule is None else book.with_watch(rule)
        return book

    def retire(self, rule_ids: Iterable[str]) -> list[Watch]:
        """Lets go of rules that have run their course; returns the watches among them."""
        gone = set(rule_ids)
        self.book = Book.of(
            (rule for rule in self.book.file_rules if rule.id not in gone),
            (rule for rule in self.book.watch_rules if rule.id not in gone),
        )
        return [self.watches.pop(rule_id) for rule_id in gone & self.watches.keys()]

    def end_pauses(self, ended: Iterable[Ended]) -> list[Pause]:
        """Lets go of the pauses of rules that are no more, or decided otherwise when they ended."""
        before = {(end.rule_id, end.fingerprint) for end in ended}
        gone = set()
        for rule_id in {pause.rule_id for pause in self.pauses.values()}:
            rule = self.book.rule(rule_id)
            if rule is None or any(
                other == rule_id and mark != rule.fingerprint for other, mark in before
            ):
                gone.add(rule_id)
        over = [pause for pause in self.pauses.values() if pause.rule_id in gone]
        for pause in over:
            del self.pauses[pause.chat_id, pause.rule_id]
        return over

    def joined(self, file_rules: Iterable[Rule]) -> Book:
        """The book of these file rules and all watches, read anew with the present groups."""
        rules = [self._watch_rule(watch) for watch in self.watches.values()]
        return Book.of(file_rules, [rule for rule in rules if rule is not None])

    def move_chat(self, old: int, new: int, renamed: Mapping[str, str]) -> None:
        """Follows a chat to its new id; `renamed` has the rule ids of its watches, old to new.

        Where both had paused a rule, the new chat's pause stays.
        """
        self.moved = {each: new if to == old else to for each, to in self.moved.items()}
        self.moved[old] = new
        self.moved.pop(new, None)
        watches = {}
        for rule_id, watch in self.watches.items():
            name = renamed.get(rule_id, rule_id)
            number = int(name.rpartition(":")[2])
            chat_id = new if watch.chat_id == old else watch.chat_id
            watches[name] = msgspec.structs.replace(watch, chat_id=chat_id, number=number)
        self.watches = watches
        self.chat_names = {n: _moved(target, old, new) for n, target in self.chat_names.items()}
        stay = [
            pause
            for pause in self.pauses.values()
            if pause.chat_id != old
            and not (pause.chat_id == new and pause.rule_id in renamed.values())
        ]
        gone = [pause for pause in self.pauses.values() if pause.chat_id == old]
        pauses = [*(_moved_pause(pause, new, renamed) for pause in gone), *stay]
        self.pauses = {(pause.chat_id, pause.rule_id): pause for pause in pauses}
        row = merge.moved(self.chats.pop(old, None), self.chats.get(new), new)
        numbers = [watch.number for watch in watches.values() if watch.chat_id == new]
        following = max([row.next_watch, *(number + 1 for number in numbers)])
        self.chats[new] = msgspec.structs.replace(row, next_watch=following)
        self.book = self.joined(
            replace(rule, targets=tuple(_moved(target, old, new) for target in rule.targets))
            for rule in self.book.file_rules
        )

    def _watch_rule(self, watch: Watch) -> Rule | None:
        zone = self.reader(watch.chat_id).timezone
        try:
            line = parse_watch(watch.line, timezone=zone, groups=self.groups)
        except WatchLineError as error:
            _log.warning(
                "The watch %s cannot be read any more: %s",
                watch.rule_id,
                error,
                extra={"action": "watch_unreadable"},
            )
            return None
        target = Target(watch.chat_id, watch.topic)
        return watch_rule(watch.rule_id, line, target, watch.created_at, f"#{watch.number}")


def _moved(target: Target, old: int, new: int) -> Target:
    return replace(target, chat_id=new) if target.chat_id == old else target


def _moved_pause(pause: Pause, new: int, renamed: Mapping[str, str]) -> Pause:
    rule_id = renamed.get(pause.rule_id, pause.rule_id)
    return msgspec.structs.replace(pause, chat_id=new, rule_id=rule_id)
