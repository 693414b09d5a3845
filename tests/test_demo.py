"""The demo as a person starts it: a market, alerts, a summary, and no false alarm."""

import asyncio
import os
import sys
from pathlib import Path


async def test_the_demo_alerts_and_ends_with_a_summary(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    root = str(Path(__file__).parents[1])
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--seconds", "6",
        cwd=tmp_path, env=kept | {"PYTHONPATH": root},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(program.communicate(), 50)
    text = output.decode()
    assert program.returncode == 0, text
    assert "Rule " in text
    assert "the first alert came after" in text
    assert "clock" not in text, text  # the market's time is shifted; nobody's clock is wrong
