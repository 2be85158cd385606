"""Test profiles, shared engines, and the two lines that every run ends with: conformance cases and which Kafka ran."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from modelux_runtime.settings import child_environment

sys.path.insert(0, str(Path(__file__).parent / "tests"))

from engines import clickhouse, new_analytics, new_database, postgres

__all__ = ["clickhouse", "new_analytics", "new_database", "postgres"]

CASES = 61
"""Behaviours in the protocol checklist that `tests/conformance` follows."""

settings.register_profile("default", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(child_environment({}).get("MODELUX_HYPOTHESIS_PROFILE", "default"))


class Ends:
    """Collects what the closing lines tell; works the same when the tests run in several processes."""

    def __init__(self) -> None:
        self.cases: dict[int, bool] = {}
        self.kafka: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A case holds when every test of it passed; a skipped test leaves it uncounted."""
        for name, value in report.user_properties:
            if name == "conformance" and isinstance(value, int):
                if report.failed:
                    self.cases[value] = False
                elif report.when == "call" and report.passed:
                    self.cases.setdefault(value, True)
            if name == "kafka" and (report.when == "call" or not report.passed):
                self.kafka[report.outcome].append(_reason(report))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.cases:
            failed = sorted(case for case, held in self.cases.items() if not held)
            line = f"conformance: {sum(self.cases.values())} cases passed of {CASES}"
            terminalreporter.write_line(line + (f"; failed: {failed}" if failed else ""))
        if any(self.kafka.values()):
            terminalreporter.write_line(self._kafka_line())

    def _kafka_line(self) -> str:
        ran, skipped = len(self.kafka["passed"]) + len(self.kafka["failed"]), self.kafka["skipped"]
        if not ran:
            return f"kafka: {len(skipped)} tests skipped: {skipped[0].removeprefix('Skipped: ')}"
        jars = sorted(Path(__file__).parent.glob(".kafka/**/kafka-clients-*.jar"))
        found = re.search(r"kafka-clients-([\d.]+)\.jar", jars[0].name) if jars else None
        version = found.group(1) if found else "of unknown version"
        return f"kafka: Apache Kafka {version} (KRaft) ran {ran} tests, {len(self.kafka['passed'])} passed"


def _reason(report: pytest.TestReport) -> str:
    told = report.longrepr
    return str(told[2]) if isinstance(told, tuple) else report.nodeid


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"conformance(case): one of the {CASES} protocol behaviours")
    config.pluginmanager.register(Ends(), "ends")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [("conformance", mark.args[0]) for mark in item.iter_markers("conformance")]
        if item.get_closest_marker("kafka") is not None:
            item.user_properties.append(("kafka", True))
