from pathlib import Path

import pytest

from bot.rules.rules_file import (
    CHAT_KEYS,
    DEFAULT_KEYS,
    FILE_KEYS,
    RULE_KEYS,
    RulesFile,
    read_rules_file,
)
from bot.rules.yaml_file import Mapping, Sequence, read_yaml

EXAMPLE = Path(__file__).parents[2] / "rules.example.yaml"


@pytest.fixture(scope="module")
def example() -> RulesFile:
    return read_rules_file(EXAMPLE.read_bytes())


def test_the_example_shows_every_key() -> None:
    root, _ = read_yaml(EXAMPLE.read_bytes())
    assert isinstance(root, Mapping)
    parts = {key: value for key, (_, value) in root.entries.items()}
    assert set(parts) == set(FILE_KEYS)
    chats, rules = parts["chats"], parts["rules"]
    assert isinstance(chats, Mapping)
    assert isinstance(rules, Sequence)
    shown = {key for _, chat in chats.entries.values() for key in getattr(chat, "entries", ())}
    assert shown == set(CHAT_KEYS)
    keys = [key for rule in rules.items for key in getattr(rule, "entries", ())]
    keys += list(getattr(parts["defaults"], "entries", ()))
    assert set(keys) == set(RULE_KEYS) | set(DEFAULT_KEYS)
    options = [key for key in keys if key not in ("name", "symbols", "when")]
    assert len(options) == len(set(options))


def test_the_three_main_thresholds_come_first(example: RulesFile) -> None:
    assert [rule.condition.text for rule in example.rules[:3]] == [
        "rate > 0.1%",
        "|basis| > 0.5%",
        "funding < 15m and |rate| > 0.03%",
    ]


def test_every_rule_of_the_example_is_told_to_the_chat(example: RulesFile) -> None:
    target = example.chats["desk"].target
    assert all(rule.targets == (target,) for rule in example.rules)
