"""A writer that is killed again and again: `python -m tests.store.kill_rounds PATH ROUNDS`.

Each round forks a child that commits a state with its row, leases, settles, and says so through
a pipe after each. The child is killed with SIGKILL at a random moment, then the file is compared
with what the child had said. Prints the number of rows at the end; a broken promise is an error.
"""

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path

import msgspec

from bot.alerts.lifecycle import Phase, State
from bot.store.records import Commit, OutboxKind, OutboxRow, OutboxStatus, SavedState, StateKey
from bot.store.sql import SqlStore

KEY = StateKey("file:hot", "f1", "BTCUSDT")


async def write(path: Path, pipe: int, number: int) -> None:
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    while True:
        number += 1
        row = OutboxRow(
            f"{number:09}", OutboxKind.ALERT, number % 5, None, b"{}" * 300, number, *_whose()
        )
        state = SavedState(KEY, State(phase=Phase.FIRING, since=number))
        await store.commit(Commit(states=(state,), outbox=(row,)))
        os.write(pipe, f"committed {number:09}\n".encode())
        for leased in await store.lease(number, number + 5, 10):
            sent = msgspec.structs.replace(leased, status=OutboxStatus.SENT, message_id=1)
            if await store.settle([sent]):
                os.write(pipe, f"settled {leased.key}\n".encode())


def _whose() -> tuple[str, str, str]:
    return KEY.rule_id, KEY.fingerprint, KEY.symbol


def kill_one(path: Path, delay: float, number: int) -> list[list[str]]:
    """What a child said before it was killed, `delay` seconds after its first word."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            asyncio.run(write(path, writer, number))
        finally:
            os._exit(1)
    os.close(writer)
    said = os.read(reader, 65_536)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 65_536):
        said += more
    os.close(reader)
    return [line.split() for line in said.decode().splitlines()]


def check(path: Path, said: list[list[str]]) -> int:
    """Compares the file with what was said; returns the number of its newest row."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    status = dict(connection.execute("SELECT key, status FROM outbox").fetchall())
    states = connection.execute("SELECT state FROM alert_states").fetchall()
    connection.close()
    newest = max(status, default="0")
    assert [msgspec.json.decode(state)["since"] for (state,) in states] == [int(newest)]
    for word, key in said:
        assert key in status, f"{key} was committed and is lost"
        assert word == "committed" or status[key] == "sent", f"{key} was settled: {status[key]}"
    return int(newest)


def main(path: Path, rounds: int) -> None:
    chance = random.Random(7)
    number, said = 0, []
    for _ in range(rounds):
        said += kill_one(path, chance.uniform(0, 0.03), number)
        number = check(path, said)
    sys.stdout.write(f"{number}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
