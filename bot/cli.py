"""The command line: reads what was asked for, starts it, and turns outcomes into exit codes.

Exit codes: 0 done; 1 a checked thing is wrong; 2 usage or configuration; 3 a needed outside
service is unreachable where the command cannot go on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bot import __version__
from bot.market.capture import CaptureError
from bot.market.catalog import Catalog, read_catalog_file
from bot.rules.parser import ConditionError, parse_duration
from bot.rules.rules_file import (
    RulesFile,
    RulesFileError,
    read_rules_file,
    symbol_problems,
)
from bot.settings import Settings, SettingsError, load_settings

WRONG, USAGE = 1, 2
STOP_WITHIN = 4.5  # s from the signal to the end; what is unsent then is sent by the next start

app = typer.Typer(
    name="fundingbot",
    help="Telegram alerts for Binance funding rates: one message when it becomes true, one when "
    "it is over.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

CatalogFiles = Annotated[
    list[Path] | None,
    typer.Option("--catalog", help="A saved fundingInfo array or exchangeInfo object; repeatable."),
]


def main() -> None:
    """The program."""
    app()


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fundingbot {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    del version


@app.command()
def run() -> None:
    """Run the bot: stream, rules, alerts, Telegram. Settings come from the environment or .env."""
    from bot.app.run import run_bot  # noqa: PLC0415 - check and replay start fast
    from bot.app.start import CannotStartError  # noqa: PLC0415

    settings = _settings()
    try:
        asyncio.run(_until_stopped(lambda stop: run_bot(settings, stop, sys.stdout)))
    except CannotStartError as error:
        _fail(error.exit_code, str(error))


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after so long, with a summary.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated market.")] = 1,
) -> None:
    """Show the whole program on a simulated market: no token, no network, no configuration."""
    from bot.demo import run_demo  # noqa: PLC0415 - check and replay start fast

    asyncio.run(_until_stopped(lambda stop: run_demo(stop, seconds=seconds, seed=seed)))


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", show_default=False)],
    catalog: CatalogFiles = None,
) -> None:
    """Check rule files: every problem at once, each FILE:LINE:COLUMN: message."""
    known = _catalog(catalog or [])
    found = [line for path in files for line in _check(path, known)]
    for line in found:
        typer.echo(line)
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        typer.echo(count, err=True)
        raise typer.Exit(WRONG)


@app.command()
def replay(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE…", show_default=False)],
    rules: Annotated[
        Path | None,
        typer.Option(help="The rules file; left out: the rules that a recording holds."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
    catalog: CatalogFiles = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Make each capture a run of its own, N at a time.")
    ] = None,
) -> None:
    """Print what rules would have sent on recorded data, through the real engine."""
    from bot.replay import replay_captures  # noqa: PLC0415 - check starts fast

    given = None if rules is None else _rules(rules).rules
    try:
        replay_captures(captures, given, _catalog(catalog or []), as_json=json, jobs=jobs)
    except CaptureError as error:
        _fail(USAGE, str(error))
    except BrokenPipeError:  # the reader has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for exit


@app.command()
def record(
    out: Annotated[
        Path,
        typer.Option(help="A file; .gz and .zst compress. One of earlier is gone on with."),
    ],
    symbols: Annotated[
        str, typer.Option(help="Comma-separated, as in a rule; left out: all, each second.")
    ] = "",
    rotate: Annotated[str, typer.Option(help="Put the file aside after so long: 1d, 6h.")] = "1d",
    max_size: Annotated[int, typer.Option(min=1, help="Put it aside above so many MiB.")] = 1024,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep so many files put aside; left out: all.")
    ] = None,
) -> None:
    """Record the live market. Where it is comes from the environment or .env, as for run."""
    from bot.app.record import Recording  # noqa: PLC0415 - check and replay start fast
    from bot.app.record import record as record_market  # noqa: PLC0415
    from bot.app.start import CannotStartError  # noqa: PLC0415
    from bot.market.recording_file import Rotation  # noqa: PLC0415

    named = tuple(each.strip() for each in symbols.split(",") if each.strip())
    asked = Recording(out, named, Rotation(_rotation_time(rotate), max_size << 20, keep))
    settings = _settings()
    try:
        asyncio.run(_until_stopped(lambda stop: record_market(settings, asked, stop, sys.stdout)))
    except CannotStartError as error:
        _fail(error.exit_code, str(error))


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - one for each option
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8090,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    symbols: Annotated[int, typer.Option(min=1, help="How many symbols.")] = 330,
    seed: Annotated[int, typer.Option(help="Of the random walk.")] = 1,
    settlement_in: Annotated[
        float | None, typer.Option(help="Shift the venue's clock: a settlement in so many seconds.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME=VALUE of --list-faults, on from the start; repeatable."),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="List the fault switches, and serve nothing.")
    ] = False,
) -> None:
    """Serve a Binance-shaped market alone: websocket and REST, with fault switches.

    Switches are turned while it runs at /simulator/faults?NAME=VALUE; docs/simulator.md has more.
    """
    from bot.demo import run_simulator  # noqa: PLC0415 - check and replay start fast
    from bot.simulator.faults import described  # noqa: PLC0415
    from bot.simulator.server import SimulatorSettings  # noqa: PLC0415

    if list_faults:
        for name, meaning in described():
            typer.echo(f"{name:<28} {meaning}")
        return
    chosen = SimulatorSettings(
        seed=seed,
        symbols=symbols,
        settlement_in=settlement_in,
        host=host,
        port=port,
        faults=tuple(fault or ()),
    )
    try:
        asyncio.run(_until_stopped(lambda stop: run_simulator(stop, chosen)))
    except (ValueError, OSError) as error:
        _fail(USAGE, str(error))


@app.command()
def doctor() -> None:
    """Check token, stream, REST, clock, database, rules file and versions; one line each."""
    from bot.ops.doctor import Subject, checks_of, report, run_checks  # noqa: PLC0415

    settings = _settings(says_all=True)
    token = settings.telegram_token
    subject = Subject(
        token=token.get_secret_value() if token else None,
        telegram_api_url=settings.telegram_api_url,
        stream_url=settings.binance_stream_url,
        rest_url=settings.binance_rest_url,
        database_url=settings.database_url,
        rules_file=settings.rules_file,
        rules_file_is_named=settings.rules_file_is_named,
        fallback_chats=tuple(entry.chat for entry in settings.fallback_urls),
    )
    checks = asyncio.run(run_checks(checks_of(subject)))
    typer.echo(report(checks))
    if not all(check.ok for check in checks):
        raise typer.Exit(WRONG)


def _settings(*, says_all: bool = False) -> Settings:
    """`says_all`: what a command prints says everything, the log only what LOG_LEVEL=debug asks."""
    from bot.ops.logs import configure_logging  # noqa: PLC0415 - check and replay log nothing

    try:
        settings = load_settings(os.environ, Path(".env"))
    except SettingsError as error:
        _fail(USAGE, "\n".join(error.problems))
    level = "critical" if says_all and settings.log_level != "debug" else settings.log_level
    configure_logging(level, settings.log_format, settings.secrets)
    return settings


def _rotation_time(text: str) -> int:
    """A time in ms."""
    try:
        value = parse_duration(text)
    except ConditionError as error:
        _fail(USAGE, f"--rotate: {error.message}")
    if value < 1000:
        _fail(USAGE, "--rotate: expected a second or more, as in 1d or 6h")
    return value


def _check(path: Path, catalog: Catalog) -> list[str]:
    try:
        file = read_rules_file(path.read_bytes())
    except OSError as error:
        return [f"{path}:1:1: cannot be read: {error.strerror or error}"]
    except RulesFileError as error:
        return [f"{path}:{problem}" for problem in error.problems]
    return [f"{path}:{problem}" for problem in symbol_problems(file, catalog)]


def _rules(path: Path) -> RulesFile:
    try:
        return read_rules_file(path.read_bytes())
    except OSError as error:
        _fail(USAGE, f"{path}: cannot be read: {error.strerror or error}")
    except RulesFileError as error:
        _fail(USAGE, "\n".join(f"{path}:{problem}" for problem in error.problems))


def _catalog(paths: list[Path]) -> Catalog:
    catalog = Catalog()
    for path in paths:
        try:
            catalog = read_catalog_file(path.read_bytes(), catalog)
        except (OSError, ValueError) as error:
            _fail(USAGE, f"{path}: cannot be used as a catalog: {error}")
    return catalog


async def _until_stopped(start: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Runs until done, or until SIGINT or SIGTERM asks it to stop, and not much longer."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(start(stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    _, late = await asyncio.wait({work}, timeout=STOP_WITHIN)
    if late:
        work.cancel()
        await asyncio.wait({work}, timeout=0.3)
    else:
        work.result()


def _fail(code: int, text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code)
