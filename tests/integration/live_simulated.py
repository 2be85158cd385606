"""Replay stored requests as the replay service does: from rows of the log, each under the version that it ran."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from live_proxy import CREDENTIALS, KEYS, Archive
from live_recorded import Recorded, micros

from modelux_providers.catalog import CredentialFacts
from modelux_replay.plan import CALLS, Document, Plan
from modelux_replay.simulation.simulate import prepare
from modelux_replay.window import Slice, Window, read_rows
from modelux_store.analytics import Analytics

ORGANIZATION = "org_1"
Ran = tuple[str, int, str, str]
"""Slug, version, model asked for where there is no slug, and version of the prices."""


@dataclass(frozen=True)
class Simulated:
    """A request of the log, and what the replay service makes of it."""

    live: Recorded
    row: Mapping[str, object]

    @property
    def trace(self) -> dict[str, object]:
        """The candidate's, without the note of where outcomes come from."""
        text = self.row["trace"]
        assert isinstance(text, bytes)
        found: dict[str, object] = json.loads(text)
        found.pop("sources")
        return found


async def simulated(analytics: Analytics, archive: Archive, found: Sequence[Recorded]) -> AsyncIterator[Simulated]:
    """Those of `found` that the service replays: all but requests whose callers left."""
    recorded = {each.row["request_id"]: each for each in found}
    start_us, end_us = micros(found[0].row), micros(found[-1].row) + 1
    for project in KEYS:
        window = Window(ORGANIZATION, project, start_us, end_us)
        rows = await read_rows(analytics, window, Slice(start_us, end_us, len(found)))
        live = [recorded[name] for name in rows.column("request_id").to_pylist()]
        groups: dict[Ran, list[int]] = {}
        for place, each in enumerate(live):
            groups.setdefault(_ran(each), []).append(place)
        for ran, places in groups.items():
            results = prepare(_plan(project, ran, archive))(rows.take(pa.array(places)), 0)
            for place, row in zip(places, results.to_pylist(), strict=True):
                yield Simulated(live[place], row)


def _ran(each: Recorded) -> Ran:
    row = each.row
    slug = str(row["config_slug"])
    model = "" if slug else str(row["requested_model"])
    return slug, int(str(row["config_version"])), model, str(row["price_version"])


def _plan(project: str, ran: Ran, archive: Archive) -> Plan:
    """The unchanged version as the candidate, with what was in service then: versions and prices changed together."""
    slug, version, model, prices = ran
    newest = list(archive.prices).index(prices) + 1
    versions = {(name, number): Document(name, number, text) for (name, number), text in archive.versions.items()}
    active = {name: max(n for s, n in versions if s == name and n <= newest) for name, first in versions if first == 1}
    return Plan(
        project,
        7,
        versions[slug, version] if slug else Document("", 0, json.dumps(model).encode()),
        tuple(versions.values()),
        active,
        tuple(CredentialFacts(name, vendor) for name, (vendor, _) in CREDENTIALS.items()),
        archive.prices[prices],
        CALLS.empty_table(),
    )
