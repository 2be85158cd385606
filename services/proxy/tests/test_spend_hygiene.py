"""No route, strategy or new spender gets past the ledger: what can call a provider, and what was reserved before."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from budget_rig import Capped, chat, rule

from modelux_calling.purse import Purse
from modelux_providers.simulator.scenario import Behaviour
from modelux_proxy.proxy import ROUTES
from routing_core.ledger.meters import Want
from routing_core.ledger.slots import Held
from routing_core.parsing import STRATEGIES

ROOT = Path(__file__).parents[3]
SPENDERS = {"libs/calling/modelux_calling/attempts.py:Beginner.begin"}
"""Where calls to providers are made. Whoever adds a place gives each call its `charge`, and proves it as below."""
SENDERS = {
    "libs/providers/modelux_providers/call.py:ProviderCall._run",
    "cli/modelux_cli/up/traffic.py:send_demo_traffic.worker",  # the demo's callers, of our own proxy
    "services/embedding/modelux_embedding/endpoint.py:Endpoint._once",  # at the operator's own cost, by settings
}
"""Where bytes are handed to the one client for outbound traffic."""
CLIENTS = {
    "services/proxy/modelux_proxy/service.py:serve",
    "services/response_sampler/modelux_response_sampler/service.py:serve",
    "services/judge/modelux_judge/service.py:serve",
    "cli/modelux_cli/up/traffic.py:send_demo_traffic",
    "services/embedding/modelux_embedding/choice.py:_endpoint",
}
"""Where that client is made."""
CALLERS = {
    "services/response_sampler/modelux_response_sampler/service.py:serve",
    "services/judge/modelux_judge/service.py:serve",
}
"""Services that call providers without a request of an application, by `modelux_calling.caller.Caller`, which takes its
charges as the proxy does: `libs/calling/tests/test_caller.py` proves it.
"""
SPENDING_ROUTES = {"/v1/chat/completions", "/v1/embeddings"}
FREE_ROUTES = {"/v1/models"}
"""Answered from the configuration: they ask no provider."""

A, B = {"model": "a"}, {"model": "b"}
CONFIGS = {
    "single": {"strategy": "single", "model": "a"},
    "fallback": {"strategy": "fallback", "attempts": ["c", "a", "b"]},
    "fallback_chain": {"strategy": "fallback_chain", "attempts": ["c", "b"]},
    "cost_optimized": {"strategy": "cost_optimized", "allow": ["a", "b"]},
    "latency_optimized": {"strategy": "latency_optimized", "models": ["a", "b"]},
    "ensemble": {"strategy": "ensemble", "aggregation": "voting", "members": [A, B]},
    "ab_test": {
        "strategy": "ab_test",
        "sticky_by": "request_id",
        "split": [{"weight": 1, "name": name, "policy": name} for name in ("a", "b")],
    },
    "cascade": {"strategy": "cascade", "attempts": [{**A, "confidence": {"json_valid": True}}, B]},
    "custom_rules": {
        "strategy": "custom_rules",
        "rules": [{"name": "any", "when": "input_tokens >= 0", "then": "a"}],
        "otherwise": "b",
    },
}
"""One config of each strategy; `c` fails."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for top in ("libs", "services", "cli"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if "/tests/" not in name and "/contracts/modelux/" not in name:
                yield name, ast.parse(path.read_text())


def places(wanted: Sequence[str], within: str = "") -> set[str]:
    """`file:Class.function` of every call of these names, in files that hold the text `within`."""
    found: set[str] = set()

    def walk(node: ast.AST, where: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = where
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                inner += ("." if ":" in where else ":") + child.name
            if isinstance(child, ast.Call) and _called(child) in wanted:
                found.add(where)
            walk(child, inner)

    for name, tree in trees():
        if within in ast.unparse(tree):
            walk(tree, name)
    return found


def _called(call: ast.Call) -> str:
    """`Name` of a plain call, `client.post` of a method, whatever holds the object."""
    if not isinstance(call.func, ast.Attribute):
        return getattr(call.func, "id", "")
    holder = ast.unparse(call.func.value).rpartition(".")[2].lstrip("_")
    return f"{holder}.{call.func.attr}"


def test_calls_to_providers_are_made_in_known_places() -> None:
    assert places(["ProviderCall"]) == SPENDERS


def test_bytes_leave_for_providers_in_known_places() -> None:
    assert places(["client.post", "client.send"]) == SENDERS
    assert places(["Client"], within="modelux_providers.client import") == CLIENTS


def test_who_calls_without_being_asked_is_known_and_spends_under_a_cap() -> None:
    assert places(["Caller"], within="modelux_calling.caller import") == CALLERS
    for place in CALLERS:
        tree = ast.parse((ROOT / place.partition(":")[0]).read_text())
        (made,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "Caller"]
        assert ast.unparse(made.args[2]).startswith("Spending(spender")


def test_every_key_has_the_budgets_that_hold_for_it() -> None:
    assert places(["Key"], within="modelux_calling.tenants import") == {"libs/calling/modelux_calling/snapshot.py:_key"}
    tree = ast.parse((ROOT / "libs/calling/modelux_calling/snapshot.py").read_text())
    (made,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "Key"]
    assert ast.unparse(made.args[-1]).startswith("rules.for_key(")


def test_every_route_is_known_to_spend_or_to_be_free() -> None:
    assert set(ROUTES) == SPENDING_ROUTES | FREE_ROUTES
    assert {path for path, (method, _) in ROUTES.items() if method != "GET"} == SPENDING_ROUTES
    assert set(CONFIGS) == set(STRATEGIES)


class Watched:
    """A spender and a client that note, in order, what is reserved, dispatched and sent."""

    def __init__(self, it: Capped) -> None:
        self.log: list[tuple[str, object]] = []
        self._it = it
        self._client = it.rig.lane.client
        it.rig.lane.client = self
        it.rig.lane.spending = replace(it.rig.lane.spending, spender=self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._it.spender, name)

    def dispatch(self, held: Held) -> None:
        self._it.spender.dispatch(held)
        self.log.append(("dispatch", held))

    async def obtain(self, wants: Sequence[Want]) -> Any:
        return await self._it.spender.obtain(wants)

    async def post(self, origin: Any, head: bytes, body: bytes, deadlines: Any) -> Any:
        self.log.append(("post", body))
        return await self._client.post(origin, head, body, deadlines)


async def proved(it: Capped, body: bytes, path: str) -> None:
    """Every byte that went to a provider followed a reservation of its own, which covered what the call cost."""
    watched = Watched(it)
    status, _, answer = await it.ask(body, path)
    assert status == 200, answer
    kinds = [kind for kind, _ in watched.log]
    assert kinds == ["dispatch", "post"] * (len(kinds) // 2)
    assert len(it.rig.simulator.calls()) == len(kinds) // 2 > 0
    helds = [held for kind, held in watched.log if isinstance(held, Held)]
    assert len({id(held) for held in helds}) == len(helds)
    (event,) = await it.ended(1)
    costs = [attempt.cost_nano for attempt in event.attempts]
    assert len(costs) == len(helds)
    for held, cost in zip(helds, costs, strict=True):
        assert [want.meter.budget_id for want in held.wants] == ["all", "key"]
        assert all(want.amount >= max(cost, 1) for want in held.wants)
        assert held.state == "done"
    await it.settles(event.charged_nano or event.cost_nano, "all")


RULES = (rule("all", cap_nano=10**12), rule("key", "key", each=True, cap_nano=10**12))
FATES = {"c": Behaviour(status=500), "a": Behaviour(text="words"), "b": Behaviour(text="words")}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("strategy", CONFIGS)
async def test_chat_reserves_before_the_first_byte(capped, strategy, stream):
    async with capped(*RULES, policies=CONFIGS, rules=FATES) as it:
        await proved(it, chat(f"@{strategy}", stream=stream), "/v1/chat/completions")


@pytest.mark.parametrize("path", ["/v1/embeddings", "/openai/v1/embeddings", "/embeddings"])
async def test_embeddings_reserve_before_the_first_byte(capped, path):
    async with capped(*RULES) as it:
        await proved(it, json.dumps({"model": "embed", "input": ["x"]}).encode(), path)


async def test_free_routes_ask_no_provider(capped):
    async with capped(*RULES) as it:
        watched = Watched(it)
        for path in ("/v1/models", "/v1/models/a"):
            status, _, _ = await it.rig.request(path, method="GET")
            assert status == 200
        assert watched.log == []
        assert it.rig.simulator.calls() == []
        assert it.ledger.calls == []


async def test_the_proof_notices_a_call_without_a_reservation(capped, monkeypatch):
    monkeypatch.setattr(Purse, "charge", lambda *_: None)
    async with capped(*RULES) as it:
        with pytest.raises(AssertionError, match="post"):
            await proved(it, chat(), "/v1/chat/completions")


def test_the_search_notices_a_new_spender(monkeypatch):
    tree = ast.parse("class Judge:\n    def ask(self):\n        return ProviderCall(self.client)")
    monkeypatch.setattr(sys.modules[__name__], "trees", lambda: iter([("services/judge/judge.py", tree)]))
    assert places(["ProviderCall"]) == {"services/judge/judge.py:Judge.ask"}
