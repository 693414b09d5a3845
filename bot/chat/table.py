"""docs/commands.md, made from the registry: `python -m bot.chat.table > docs/commands.md`."""

import sys

from bot.chat.registry import BUTTONS, COMMANDS, menu_texts
from bot.locale import translator

_HEAD = """# Commands and buttons

Made from the registry by `python -m bot.chat.table`; a test holds it current.

Who may: **everyone** means strangers too; **look** is admins, and everybody where `ACCESS=open`; \
**change** is admins, and everybody in their own private chat where `ACCESS=open`. Whoever can \
read a message may press its look buttons.

| command | who may | English menu | 中文菜单 |
|---|---|---|---|
"""
_BUTTONS = """
| button data | who may | does |
|---|---|---|
"""


def commands_table() -> str:
    """The page as Markdown."""
    english, chinese = menu_texts(translator("en")), menu_texts(translator("zh"))
    commands = "".join(
        f"| {_code(f'/{name} {command.usage}')} | {command.need} | {_cell(english[name])} "
        f"| {_cell(chinese[name])} |\n"
        for name, command in COMMANDS.items()
    )
    buttons = "".join(
        f"| {_code(f'{name}:{press.argument}' if press.argument else name)} | {press.need} "
        f"| {_cell(press.does)} |\n"
        for name, press in BUTTONS.items()
    )
    return _HEAD + commands + _BUTTONS + buttons


def _code(text: str) -> str:
    return f"`{_cell(text.strip())}`"


def _cell(text: str) -> str:
    """A text within a cell of a Markdown table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(commands_table())
