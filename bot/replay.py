"""What rules would have sent on recorded data: the real engine, no network, no store on disk."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bot.alerts.event import Event
from bot.alerts.playback import NoRulesError, Playback, Played
from bot.market.capture import CaptureError, CaptureLine, read_capture
from bot.market.catalog import Catalog
from bot.market.recording import ControlError
from bot.rules.rule import Rule

NO_RULES = "holds no rules of its own; name a rules file with --rules FILE"


@dataclass(slots=True)
class Summary:
    """What a replay has read and told so far. Times are event times in ms; 0: no row yet."""

    lines: int = 0
    symbols: int = 0
    first: int = 0
    last: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # lines and rows, by reason
    broken: int = 0  # lines
    events: Counter[str] = field(default_factory=Counter)  # by kind
    recorded: bool = False  # there were lines that only a recording has
    played: Played = field(default_factory=Played)


def replay(
    lines: Iterable[CaptureLine],
    rules: tuple[Rule, ...] | None,
    catalog: Catalog,
    summary: Summary,
    warn: Callable[[str], object],
) -> Iterator[Event]:
    """The events that rules cause, in order; `rules` None: those that the recordings hold.

    A file whose first line is a control line is a recording: there the clock moves as it says.
    Elsewhere it is the greatest event time seen. `warn` is told of each broken line with its
    place, as it comes.

    Raises:
        CaptureError: no rules are given and a capture without any is to be decided on.
    """
    place, is_recording = ("", 0), None
    playback = Playback(
        rules, catalog, lambda sentence: warn(f"{place[0]}:{place[1]}: {sentence}\n")
    )
    summary.played = playback.played
    for line in lines:
        summary.lines += 1
        if line.path != place[0] or line.number <= place[1]:
            is_recording = None
            yield from _counted(_ruled(playback.settle, place[0]), summary)
        place = line.path, line.number
        if is_recording is None and line.frame is not None:
            is_recording = line.control is not None
            summary.recorded |= is_recording
        played = partial(_played, playback, line, bool(is_recording), summary, warn)
        events = _ruled(played, line.path)
        engine = playback.engine
        if playback.played.rows and engine.clock:  # a start alone has no time
            summary.first = summary.first or engine.clock
            summary.last = engine.clock
        summary.symbols = max(summary.symbols, len(engine.symbols))
        yield from _counted(events, summary)
    yield from _counted(_ruled(playback.finish, place[0]), summary)
    if not playback.knows_rules:
        raise CaptureError(f"{place[0] or 'no capture'}: {NO_RULES}")


def _ruled(play: Callable[[], list[Event]], path: str) -> list[Event]:
    try:
        return play()
    except NoRulesError:
        raise CaptureError(f"{path}: {NO_RULES}") from None


def _counted(events: list[Event], summary: Summary) -> Iterator[Event]:
    for event in events:
        summary.events[event.kind] += 1
        yield event


def _played(
    playback: Playback,
    line: CaptureLine,
    is_recording: bool,
    summary: Summary,
    warn: Callable[[str], object],
) -> list[Event]:
    if line.frame is None:
        summary.broken += 1
        warn(f"{line.path}:{line.number}: {line.problem} (skipped)\n")
        return playback.broken() if is_recording else []
    if is_recording and line.control is not None:
        try:
            return playback.obey(line.control)
        except ControlError as error:
            summary.broken += 1
            warn(f"{line.path}:{line.number}: {error} (skipped)\n")
            return []
    summary.skipped.update(line.frame.skipped)
    if not line.frame.ticks:
        return []
    return playback.frame(line.frame.ticks) if is_recording else playback.plain(line.frame.ticks)


def event_object(event: Event) -> dict[str, Any]:
    """An event as the outside contract of `replay --json` writes it."""
    return {
        "at": event.at,
        "event": str(event.kind),
        "rule": event.rule,
        "symbol": event.symbol,
        "since": event.since,
        "values": event.values,
        "already": event.already,
    }


def replay_captures(
    captures: Sequence[str],
    rules: tuple[Rule, ...] | None,
    catalog: Catalog,
    *,
    as_json: bool,
    jobs: int | None = None,
) -> None:
    """Prints the events of captures: as one stream in the given order, or each as its own run.

    `rules` None: those that the recordings hold. Events go to standard output, the summary and
    warnings to standard error.

    Raises:
        CaptureError: a capture cannot be read on; what came before it has been printed.
    """
    if jobs is None:
        summary = Summary()
        try:
            for event in replay(read_capture(captures), rules, catalog, summary, sys.stderr.write):
                sys.stdout.write(_line(event, as_json=as_json))
        finally:
            sys.stdout.flush()
            sys.stderr.write(_report(summary))
        return
    work = partial(_replay_one, rules=rules, catalog=catalog, as_json=as_json)
    with ProcessPoolExecutor(jobs) as pool:
        failures = []
        for capture, (lines, report, failure) in zip(
            captures, pool.map(work, captures), strict=True
        ):
            sys.stdout.write(lines)
            sys.stdout.flush()
            sys.stderr.write(f"{capture}:\n{report}")
            failures += [failure] * bool(failure)
    if failures:
        raise CaptureError("\n".join(failures))


def _replay_one(
    capture: str, *, rules: tuple[Rule, ...] | None, catalog: Catalog, as_json: bool
) -> tuple[str, str, str]:
    """What one capture prints on each of the two outputs, and why it could not be read on."""
    summary, warnings = Summary(), list[str]()
    events = replay(read_capture([capture]), rules, catalog, summary, warnings.append)
    told: list[str] = []
    try:
        told += (_line(event, as_json=as_json) for event in events)
    except CaptureError as error:
        return "".join(told), "".join(warnings) + _report(summary), str(error)
    return "".join(told), "".join(warnings) + _report(summary), ""


def _line(event: Event, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(event_object(event), ensure_ascii=False, separators=(",", ":")) + "\n"
    values = "  ".join(f"{name} {value:.10g}" for name, value in event.values.items())
    moment = _moment(event.at)
    already = "  (already true at the start)" if event.already else ""
    return f"{moment}  {event.kind:8}  {event.symbol:14}  {event.rule}: {values}{already}\n"


def _moment(time: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):  # an event time beyond the calendar
        return f"{time} ms"


def _report(summary: Summary) -> str:
    """The summary, for standard error."""
    played = summary.played
    lines = [
        f"{summary.lines} lines, {played.rows} rows of {summary.symbols} symbols"
        + (f", {_moment(summary.first)} to {_moment(summary.last)}" if summary.first else "")
    ]
    passed = dict(summary.skipped + played.skipped) | {
        "broken": summary.broken,
        "repeated": played.repeated,
    }
    if counted := ", ".join(f"{count} {reason}" for reason, count in passed.items() if count):
        lines.append(f"passed over: {counted}")
    if summary.recorded:
        lines += _report_of_recording(played)
    told = ", ".join(f"{count} {kind}" for kind, count in summary.events.items())
    lines.append(f"events: {told or 'none'}")
    return "\n".join(lines) + "\n"


def _report_of_recording(played: Played) -> list[str]:
    obeyed = {
        "starts": played.starts,
        "moves of the clock": played.advances,
        "catalogs": played.catalogs,
        "changes of the rules": played.rule_changes,
    }
    lines = ["obeyed: " + ", ".join(f"{count} {name}" for name, count in obeyed.items() if count)]
    if played.rules_passed_over:
        lines.append("the recording's own rules were passed over; leave out --rules to replay them")
    if played.unknown:
        lines.append(f"{played.unknown.total()} control lines of a newer version passed over")
    missing = played.missing
    if missing.frames or missing.decisions:
        lines.append(
            f"missing: {missing.frames} frames, {missing.decisions} decisions that could not be "
            "written; the events may differ from those told live"
        )
    return lines
