"""What holds for every test: how examples are drawn, and the closing words of long tests."""

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every machine, busy or not: an example's time says nothing there. New ones
# are tried by `make torture`.
settings.register_profile(
    "suite",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that may last longest come first, so that no worker is left alone with one."""

    def may_last(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return float(mark.args[0]) if mark is not None and mark.args else 0.0

    items.sort(key=may_last, reverse=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests recorded as their `summary`, also from xdist's workers."""
    said = [
        str(words)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, words in report.user_properties
        if name == "summary"
    ]
    if said:
        terminalreporter.section("counts")
        for words in said:
            terminalreporter.write_line(words)
