"""Budgets as they reach a proxy: one that cannot be kept refuses the whole snapshot, and the last good one serves."""

from __future__ import annotations

from typing import Any

import pytest

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_calling.budget_rules import rule_of
from modelux_calling.clock import Clock
from modelux_calling.config_source import ConfigSource
from modelux_calling.snapshot import Builder, Refused, merge
from modelux_providers.catalog import Catalog
from routing_core.types import Request, Target

HASH = bytes(range(32))
CATALOG = Catalog.load()
PLAIN: dict[str, Any] = {"id": "bud_1", "organization_id": "org_1", "scope": "organization", "action": "block"}


def snapshot(*budgets: dict[str, Any], version: int = 1) -> pb.Snapshot:
    return pb.Snapshot(
        version=version,
        projects=[pb.Project(id="proj_1", organization_id="org_1", logging_mode="full")],
        keys=[pb.ProxyKey(id="key_1", project_id="proj_1", hash=HASH)],
        budgets=[pb.Budget(**PLAIN | budget) for budget in budgets],
    )


BAD = [
    pytest.param({"scope": "galaxy"}, "scope 'galaxy'", id="unknown scope"),
    pytest.param({"scope": ""}, "scope ''", id="no scope"),
    pytest.param({"action": "warn"}, "action 'warn'", id="unknown action"),
    pytest.param({"action": ""}, "action ''", id="no action"),
    pytest.param({"cap_nano": -1}, "negative", id="negative cap"),
    pytest.param({"max_calls": -1}, "negative", id="negative calls"),
    pytest.param({"max_duration_s": -1}, "negative", id="negative duration"),
    pytest.param({"loop_calls": -1}, "negative", id="negative loops"),
    pytest.param({"downgrade_at_ppm": -1}, "negative", id="negative share"),
    pytest.param({"action": "downgrade", "downgrade_to": "@"}, "downgrade to '@'", id="to no slug"),
    pytest.param({"action": "downgrade", "downgrade_to": "@a b"}, "downgrade to '@a b'", id="to no name"),
]


@pytest.mark.parametrize(("budget", "says"), BAD)
async def test_a_bad_budget_refuses_the_snapshot_and_the_last_good_one_serves(tmp_path, budget, says):
    builder = Builder(bytes(32), CATALOG)
    with pytest.raises(Refused, match=f"bud_1.*{says}"):
        builder.build(snapshot({}, budget), 0)
    source = ConfigSource(builder, tmp_path / "snapshot", Clock(lambda: 0), max_stale_ms=1000)
    assert await source.apply(pb.WatchSnapshotResponse(snapshot=snapshot({"cap_nano": 5})))
    assert not await source.apply(pb.WatchSnapshotResponse(snapshot=snapshot(budget, version=2)))
    current = source.current()
    assert current is not None
    assert current.version == 1
    (applied,) = current.keys[HASH].budgets.static.applied
    assert applied.rule.cap_nano == 5


async def test_a_bad_budget_in_a_change_is_refused_with_it(tmp_path):
    source = ConfigSource(Builder(bytes(32), CATALOG), tmp_path / "snapshot", Clock(lambda: 0), max_stale_ms=1000)
    assert await source.apply(pb.WatchSnapshotResponse(snapshot=snapshot({"cap_nano": 5})))
    change = pb.Change(version=2, budgets=[pb.Budget(**PLAIN | {"cap_nano": -5})])
    assert not await source.apply(pb.WatchSnapshotResponse(change=change))
    current = source.current()
    assert current is not None
    assert current.keys[HASH].budgets.static.applied[0].rule.cap_nano == 5


def test_changed_and_deleted_budgets_hold_as_they_are_now():
    builder = Builder(bytes(32), CATALOG)
    first = snapshot({"cap_nano": 5}, {"id": "bud_2", "cap_nano": 7})
    second = merge(first, pb.Change(version=2, budgets=[pb.Budget(**PLAIN | {"cap_nano": 6})], deleted_ids=["bud_2"]))
    held = [builder.build(each, 0).keys[HASH].budgets.static.applied for each in (first, second)]
    assert [[applied.rule.cap_nano for applied in each] for each in held] == [[5, 7], [6]]


@pytest.mark.parametrize(
    ("budget", "holds"),
    [
        pytest.param({}, True, id="the organization's"),
        pytest.param({"organization_id": "org_2"}, False, id="another organization's"),
        pytest.param({"scope": "project", "scope_key": "proj_1"}, True, id="the project's"),
        pytest.param({"scope": "project", "scope_key": "proj_2"}, False, id="another project's"),
        pytest.param({"scope": "project", "each": True}, True, id="each project's"),
        pytest.param({"scope": "key", "scope_key": "key_1"}, True, id="the key's"),
        pytest.param({"scope": "key", "scope_key": "key_2"}, False, id="another key's"),
        pytest.param({"scope": "key", "each": True, "project_id": "proj_1"}, True, id="each key's of the project"),
        pytest.param({"scope": "key", "each": True, "project_id": "proj_2"}, False, id="each key's of another project"),
        pytest.param({"scope": "end_user", "each": True}, True, id="each end user's"),
        pytest.param({"scope": "tag", "scope_key": "team=search"}, True, id="of a tag's value"),
        pytest.param({"scope": "tag", "scope_key": "team=other"}, False, id="of another value"),
        pytest.param({"scope": "tag", "scope_key": "team", "each": True}, True, id="of each value"),
        pytest.param({"scope": "tag", "scope_key": "run_id", "each": True}, False, id="of a tag that is not there"),
        pytest.param({"scope": "provider", "scope_key": "one"}, True, id="the provider's"),
        pytest.param({"scope": "provider", "scope_key": "two"}, False, id="another provider's"),
        pytest.param({"scope": "model", "scope_key": "m"}, True, id="the model's"),
        pytest.param({"scope": "model", "scope_key": "m:one"}, True, id="the model's at its provider"),
        pytest.param({"scope": "model", "scope_key": "m:two"}, False, id="the model's elsewhere"),
    ],
)
def test_no_key_is_beyond_a_budget_that_fits(budget, holds):
    matcher = Builder(bytes(32), CATALOG).build(snapshot(budget | {"cap_nano": 5}), 0).keys[HASH].budgets
    request = Request("req_1", "proj_1", tags={"team": "search"}, end_user_id="u1", key_id="key_1")
    draw = matcher.for_target(matcher.for_request(request), Target("m", "one", "pc_1"))
    assert bool(draw.usd) == holds


def test_a_limit_of_nothing_is_told_from_no_limit():
    assert rule_of(pb.Budget(**PLAIN, cap_nano=0)).cap_nano == 0
    assert rule_of(pb.Budget(**PLAIN)).cap_nano is None
    assert (rule_of(pb.Budget(**PLAIN, max_calls=0)).counts_calls, rule_of(pb.Budget(**PLAIN)).counts_calls) == (
        True,
        False,
    )
