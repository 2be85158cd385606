"""Test profiles, and the two lines that every run ends with: conformance cases passed, and which Kafka ran."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from modelux_runtime.settings import child_environment

CASES = 61
"""Behaviours in the protocol checklist that `tests/conformance` follows."""

settings.register_profile("default", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(child_environment({}).get("MODELUX_HYPOTHESIS_PROFILE", "default"))

_case = pytest.StashKey[int]()
_outcomes = pytest.StashKey[dict[int, bool]]()
_kafka = pytest.StashKey[dict[str, list[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"conformance(case): one of the {CASES} protocol behaviours")
    config.stash[_outcomes] = {}
    config.stash[_kafka] = {"passed": [], "failed": [], "skipped": []}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report: pytest.TestReport = (yield).get_result()
    _note_conformance(item, report)
    _note_kafka(item, report)


def _note_conformance(item: pytest.Item, report: pytest.TestReport) -> None:
    """A case holds when every test of it passed; a skipped test leaves it uncounted."""
    outcomes = item.config.stash[_outcomes]
    for mark in item.iter_markers("conformance"):
        case = mark.args[0]
        if report.failed:
            outcomes[case] = False
        elif report.when == "call" and report.passed:
            outcomes.setdefault(case, True)


def _note_kafka(item: pytest.Item, report: pytest.TestReport) -> None:
    if item.get_closest_marker("kafka") is None or (report.when != "call" and not report.skipped and not report.failed):
        return
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else item.name
    item.config.stash[_kafka][report.outcome].append(str(reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes, kafka = config.stash[_outcomes], config.stash[_kafka]
    if outcomes:
        failed = sorted(case for case, held in outcomes.items() if not held)
        line = f"conformance: {sum(outcomes.values())} cases passed of {CASES}"
        terminalreporter.write_line(line + (f"; failed: {failed}" if failed else ""))
    if any(kafka.values()):
        terminalreporter.write_line(_kafka_line(kafka))


def _kafka_line(kafka: dict[str, list[str]]) -> str:
    ran = len(kafka["passed"]) + len(kafka["failed"])
    if not ran:
        return f"kafka: {len(kafka['skipped'])} tests skipped: {kafka['skipped'][0].removeprefix('Skipped: ')}"
    jars = sorted(Path(__file__).parent.glob(".kafka/**/kafka-clients-*.jar"))
    found = re.search(r"kafka-clients-([\d.]+)\.jar", jars[0].name) if jars else None
    version = found.group(1) if found else "of unknown version"
    return f"kafka: Apache Kafka {version} (KRaft) ran {ran} tests, {len(kafka['passed'])} passed"
