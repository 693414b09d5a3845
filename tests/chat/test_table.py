"""docs/commands.md is what the registry says."""

from pathlib import Path

from bot.chat.registry import BUTTONS, COMMANDS
from bot.chat.table import commands_table

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_table(), (
        "run: python -m bot.chat.table > docs/commands.md"
    )


def test_every_command_and_button_is_in_it() -> None:
    page = commands_table()
    assert all(f"`/{name}" in page for name in COMMANDS)
    assert all(f"`{name}" in page for name in BUTTONS)


def test_a_bar_does_not_break_the_table() -> None:
    rows = [line for line in commands_table().splitlines() if line.startswith("| `/")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
