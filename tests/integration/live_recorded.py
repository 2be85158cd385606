"""Make a stored request anew from its rows alone: the request, its policy, and the world that the policy saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from live_proxy import Archive

from modelux_store.analytics import Analytics
from routing_core.config import NamedPolicy
from routing_core.replay import policies_from, replay, world_from
from routing_core.shapes import Single
from routing_core.trace import Trace, from_json
from routing_core.types import Request
from routing_core.world import Offer, World

Row = Mapping[str, object]
Versions = dict[tuple[str, int], NamedPolicy]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Recorded:
    """One stored request, and all that a replay is made of."""

    row: Row
    attempts: Sequence[Row]
    stored: bytes
    trace: Trace
    policy: NamedPolicy
    request: Request
    world: World

    def again(self) -> bytes:
        return _encode(replay(self.trace, self.policy, self.request, self.world))


async def recorded(analytics: Analytics, archive: Archive) -> list[Recorded]:
    """Everything made anew from what was stored."""
    rows = await analytics.rows(
        "SELECT *, toUnixTimestamp64Micro(started_at) AS started_us FROM requests_once ORDER BY started_at",
        raw=("trace", "request_body", "response_body"),
    )
    attempts = await analytics.rows("SELECT * FROM attempts_once ORDER BY request_id, number")
    mine: dict[object, list[Row]] = {row["request_id"]: [] for row in rows}
    for attempt in attempts:
        mine[attempt["request_id"]].append(attempt)
    versions = archive.policies()
    offers = {name: archive.offers(name, micros(rows[0]) // 1000) for name in archive.prices}
    return [_recorded(row, mine[row["request_id"]], versions, offers[str(row["price_version"])]) for row in rows]


def _recorded(
    row: Row, attempts: Sequence[Row], versions: Versions, offers: Mapping[str, tuple[Offer, ...]]
) -> Recorded:
    stored = row["trace"]
    assert isinstance(stored, bytes)
    trace = from_json(stored)
    slug, number = str(row["config_slug"]), int(str(row["config_version"]))
    policy = versions[slug, number] if slug else NamedPolicy("", 0, Single(str(row["requested_model"])))
    world = world_from(trace, offers, policies_from(trace, versions))
    return Recorded(row, attempts, stored, trace, policy, request_of(row, micros(row) // 1000), world)


def micros(row: Row) -> int:
    return int(str(row["started_us"]))


def request_of(row: Row, at_ms: int) -> Request:
    """The request as its policy saw it, from the columns."""
    needs, tags = row["needs"], row["tags"]
    assert isinstance(needs, list)
    assert isinstance(tags, dict)
    return Request(
        str(row["request_id"]),
        str(row["project_id"]),
        "embeddings" if row["endpoint"] == "embeddings" else "chat",
        str(row["requested_model"]),
        bool(row["stream"]),
        int(str(row["estimated_input_tokens"])),
        int(str(row["max_tokens"])) or None,
        frozenset(needs),
        tags,
        str(row["end_user_id"]) or None,
        str(row["key_id"]),
        at_ms,
    )
