"""SIGKILL at random moments."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from bot.store.records import OutboxStatus
from bot.store.sql import SqlStore

ROOT = Path(__file__).parents[2]


def test_a_kill_at_any_moment_loses_nothing_that_was_committed(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.kill_rounds", str(path), "30"],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 30


async def test_the_lock_of_a_killed_program_is_free(path: Path, url: str) -> None:
    hold = (
        "import asyncio, os, signal, sys; from bot.store.sql import SqlStore\n"
        "async def hold(store):\n"
        "    await store.open(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(hold(SqlStore(sys.argv[1])))"
    )
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", hold, url, cwd=ROOT)
    assert await program.wait() == -signal.SIGKILL
    store = SqlStore(url)
    await store.open()
    assert (await store.outbox_counts())[OutboxStatus.NEW] == 0
    await store.close()
