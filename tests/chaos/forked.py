"""The real program in processes of their own that share the time of their imports.

Dozens of programs run at once here; importing everything anew would be most of what they do.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["bot.cli", "bot.app.run"])


class ForkedRun:
    """One process of the program; the same to a test as a `Run`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._output = folder / "program.log"
        arguments = (str(folder), dict(environment), str(self._output))
        self._process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._process.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.exitcode is None:
            self._process.kill()
        await asyncio.to_thread(self._process.join, 10)
        self._process.close()

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.exitcode

    async def stop(self) -> int | None:
        """SIGTERM; the exit code, None where it did not end in time."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        await asyncio.to_thread(self._process.join, 10)
        return self._process.exitcode


def _run(folder: str, environment: dict[str, str], output: str) -> None:
    """`fundingbot run`, in a process that was just forked."""
    from bot.cli import main  # noqa: PLC0415 - imported by the process that forks

    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(file, standard)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["fundingbot", "run"]
    main()
