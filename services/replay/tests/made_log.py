"""A log that the engine itself made: eight strategies, several providers, outages, budgets and a change of prices.

The health that policies see is that of the real registry, fed in order of time, so circuits open and close in it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pyarrow as pa

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux.events.v1.request_pb2 import Usage as UsageRecord
from modelux_providers.catalog import Catalog, CredentialFacts, Offers, PriceOverride
from modelux_replay.plan import CALLS, ROWS, Document, Plan
from routing_core.config import NamedPolicy, parse_policy
from routing_core.engine import Run
from routing_core.flow import Attempt, Step
from routing_core.health import Registry
from routing_core.pricing import cost, output_cost
from routing_core.shapes import Single
from routing_core.types import Answer, Capability, Outcome, Request, Target, Usage
from routing_core.world import Budget, World

PROJECT, ORGANIZATION = "proj_made", "org_made"
START_US = 1_775_779_200_000_000
"""2026-04-10."""
DAY_US = 24 * 3600 * 1_000_000
MINI, STRONG, HAIKU, FLASH = "gpt-4o-mini", "gpt-4o", "claude-haiku-4-5", "gemini-2.5-flash"
CREDENTIALS = (
    CredentialFacts("pc_openai_1", "openai"),
    CredentialFacts("pc_openai_2", "openai"),
    CredentialFacts("pc_anthropic", "anthropic"),
    CredentialFacts("pc_google", "google"),
)
PACE: Mapping[str, tuple[float, float]] = {
    MINI: (180.0, 9.0), STRONG: (260.0, 14.0), HAIKU: (220.0, 7.0), FLASH: (150.0, 5.0),
}  # fmt: skip
"""Milliseconds before the first token, and per token."""
CONFIGS: Mapping[str, object] = {
    "single": {"strategy": "single", "model": STRONG},
    "fallback": {"strategy": "fallback", "attempts": [{"model": HAIKU, "timeout_ms": 20_000}, MINI, FLASH]},
    "cost_optimized": {"strategy": "cost_optimized", "allow": [STRONG, HAIKU, MINI, FLASH]},
    "latency_optimized": {"strategy": "latency_optimized", "models": [HAIKU, MINI, FLASH]},
    "ensemble": {"strategy": "ensemble", "members": [HAIKU, MINI, FLASH], "timeout_ms": 60_000},
    "ab_test": {
        "strategy": "ab_test", "sticky_by": "end_user_id",
        "split": [{"weight": 3, "policy": STRONG}, {"weight": 1, "policy": "@fallback"}],
    },
    "cascade": {
        "strategy": "cascade",
        "attempts": [{"model": MINI, "confidence": {"no_refusal": True, "json": True}}, {"model": STRONG}],
    },
    "custom_rules": {
        "strategy": "custom_rules",
        "rules": [
            {"name": "gold", "when": 'tags.tier == "gold"', "then": STRONG},
            {"name": "long", "when": "input_tokens > 1500", "then": {"strategy": "cost_optimized", "min_tier": 1}},
        ],
        "otherwise": "@fallback",
    },
}  # fmt: skip
POLICIES = {slug: NamedPolicy(slug, 1, parse_policy(document)) for slug, document in CONFIGS.items()}
_encode = msgspec.json.Encoder().encode


@dataclass
class Maker:
    """Makes requests one after the other, with the state of one proxy. `down`: provider, from and to."""

    count: int
    seed: int = 1
    days: float = 7.0
    configs: Sequence[str] = (*CONFIGS, "")
    """Slugs in turn; an empty one is a plain call of a model."""
    down: Sequence[tuple[str, int, int]] = (("anthropic", START_US + DAY_US, START_US + DAY_US + DAY_US // 12),)
    prices: Sequence[PriceOverride] = (
        PriceOverride("po_1", "openai", MINI, 200_000_000, 800_000_000, None, None, (START_US + 3 * DAY_US) // 1000),
    )
    budget_every: int = 10
    """Of so many requests one is under a budget that fills up."""
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        catalog = Catalog.load()
        change = self.prices[0].effective_from_ms if self.prices else 0
        self._offers = [catalog.offers(CREDENTIALS, self.prices, moment) for moment in (START_US // 1000, change)]
        self._change_us = change * 1000
        self._policies = dict(POLICIES)

    def events(self) -> Iterator[RequestCompleted]:
        """In order of time."""
        step_us = int(self.days * DAY_US) // self.count
        for number in range(self.count):
            yield self._event(number, START_US + number * step_us + self.chance.randrange(step_us))

    def _event(self, number: int, at_us: int) -> RequestCompleted:
        chance = self.chance
        slug = self.configs[number % len(self.configs)]
        tags = {"run_id": f"run_{number // 8}", "tier": "gold" if chance.random() < 0.2 else "plain"}
        needs: frozenset[Capability] = frozenset({"tools"}) if chance.random() < 0.1 else frozenset()
        request = Request(
            f"req_{number:08}_{chance.randrange(10**6):06}",
            PROJECT,
            "chat",
            f"@{slug}" if slug else MINI,
            chance.random() < 0.5,
            int(chance.lognormvariate(6.0, 1.0)) + 10,
            2000 if chance.random() < 0.3 else None,
            needs,
            tags,
            f"user-{number % 300}",
            "key_1",
            at_us // 1000,
        )
        policy = self._policies[slug] if slug else NamedPolicy("", 0, Single(MINI))
        offers = self._offers[bool(self.prices) and at_us >= self._change_us]
        return _record(request, slug, self._run(request, policy, offers, number), at_us)

    def _run(self, request: Request, policy: NamedPolicy, offers: Offers, number: int) -> Run:
        budgets: tuple[Budget, ...] = ()
        if self.budget_every and number % self.budget_every == 0:
            spent = number * 1_000_000_000 // self.count
            budgets = (Budget("bud_1", 1_000_000_000, spent, "runs", MINI, 800_000),)
        now_ms = request.at_ms
        world = World(offers, self.registry.view(now_ms), self._policies, budgets, offers.price_version)
        run = Run(policy, request, world)
        step = run.start()
        output = int(self.chance.lognormvariate(4.5, 0.8)) + 1
        while isinstance(step, Step):
            outcomes = [self._outcome(request, attempt, step, offers, output) for attempt in step.attempts]
            for outcome in outcomes:
                self.registry.begin(outcome.target, now_ms)
                self.registry.observe(outcome, now_ms)
            step = run.send(outcomes)
        return run

    def _outcome(self, request: Request, attempt: Attempt, step: Step, offers: Offers, output: int) -> Outcome:
        chance, target = self.chance, attempt.target
        at_us = request.at_ms * 1000
        if any(provider == target.provider and start <= at_us < end for provider, start, end in self.down):
            return Outcome(target, "status", 503, chance.uniform(20, 90), error_code="overloaded")
        if chance.random() < 0.01:
            return Outcome(target, "status", 500, chance.uniform(20, 900), error_code="server_error")
        first, each = PACE.get(target.model, (200.0, 10.0))
        speed = chance.lognormvariate(0.0, 0.25)
        usage = Usage(request.input_tokens, output)
        price = next(offer.price for offer in offers[target.model] if offer.target == target)
        assert price is not None
        text = '{"a": 1}' if chance.random() < 0.7 else "I can't help with that."
        return Outcome(
            target,
            "ok",
            200,
            (first + output * each) * speed,
            first * speed if request.stream else None,
            usage,
            cost(price, usage),
            answer=Answer(text, "stop") if step.until == "body" else None,
            output_cost_nano=output_cost(price, usage),
        )


def _record(request: Request, slug: str, run: Run, at_us: int) -> RequestCompleted:
    trace, decision = run.trace(), run.decision
    assert decision is not None
    selected = None if decision.selected is None else run.outcomes[decision.selected]
    last = selected or (run.outcomes[-1] if run.outcomes else None)
    target = last.target if last else Target("", "", "")
    return RequestCompleted(
        request_id=request.request_id,
        organization_id=ORGANIZATION,
        project_id=PROJECT,
        key_id=request.key_id,
        started_at_us=at_us,
        endpoint="chat",
        requested_model=request.model,
        config_slug=slug,
        config_version=1 if slug else 0,
        policy_type=decision.policy_type,
        outcome="ok" if selected else "error",
        status=200 if selected else 502,
        error_code="" if selected else "attempts_failed",
        model=target.model,
        provider=target.provider,
        credential_id=target.credential_id,
        stream=request.stream,
        tags=request.tags,
        end_user_id=request.end_user_id,
        usage=_usage(last),
        cost_nano=sum(each.cost_nano for each in run.outcomes),
        latency_us=round(trace.measured.latency_ms * 1000) + 150,
        ttft_us=-1 if trace.measured.ttft_ms is None else round(trace.measured.ttft_ms * 1000),
        attempts=[
            AttemptRecord(
                number=number,
                model=each.target.model,
                provider=each.target.provider,
                credential_id=each.target.credential_id,
                kind=each.kind,
                status=each.status or 0,
                latency_us=round(each.latency_ms * 1000),
                ttft_us=-1 if each.ttft_ms is None else round(each.ttft_ms * 1000),
                usage=_usage(each),
                cost_nano=each.cost_nano,
            )
            for number, each in enumerate(run.outcomes, 1)
        ],
        trace_json=_encode(trace),
        logging_mode="full",
        price_version=run.world.price_version,
        estimated_input_tokens=request.input_tokens,
        max_tokens=request.max_tokens or 0,
        needs=sorted(request.needs),
    )


def _usage(outcome: Outcome | None) -> UsageRecord:
    return UsageRecord(input=outcome.usage.input, output=outcome.usage.output) if outcome else UsageRecord()


def rows_of(events: Sequence[RequestCompleted], **changed: object) -> pa.Table:
    """As the window reads them from ClickHouse; `changed` columns have one value in all rows."""
    return pa.Table.from_pylist([_row(event) | changed for event in events], ROWS)


def calls_of(events: Sequence[RequestCompleted]) -> pa.Table:
    found = [
        {
            "model": a.model, "provider": a.provider, "credential_id": a.credential_id,
            "started_at": event.started_at_us, "kind": a.kind, "status": a.status, "latency_us": a.latency_us,
            "ttft_us": None if a.ttft_us < 0 else a.ttft_us, "input_tokens": a.usage.input,
            "output_tokens": a.usage.output,
        }
        for event in events
        for a in event.attempts
    ]  # fmt: skip
    return pa.Table.from_pylist(found, CALLS)


def plan_for(candidate: object, events: Sequence[RequestCompleted], *, seed: int = 7, slug: str = "") -> Plan:
    """Of one project with `CONFIGS`; `slug` names the config whose version 1 the candidate is."""
    documents = tuple(Document(name, 1, json.dumps(document).encode()) for name, document in CONFIGS.items())
    return Plan(
        PROJECT,
        seed,
        Document(slug, int(bool(slug)), json.dumps(candidate).encode()),
        documents,
        dict.fromkeys(CONFIGS, 1),
        CREDENTIALS,
        Maker(1).prices,
        calls_of(events),
    )


def without(plan: Plan, **changed: object) -> Plan:
    return replace(plan, **changed)


def _row(event: RequestCompleted) -> dict[str, object]:
    names = (
        "request_id", "endpoint", "requested_model", "config_slug", "config_version", "policy_type", "outcome",
        "status", "error_code", "model", "provider", "credential_id", "stream", "end_user_id", "key_id",
        "estimated_input_tokens", "max_tokens", "cost_nano", "price_unknown", "latency_us", "source",
    )  # fmt: skip
    usage = event.usage
    return {name: getattr(event, name) for name in names} | {
        "started_at": event.started_at_us,
        "tags": list(event.tags.items()),
        "needs": list(event.needs),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "ttft_us": None if event.ttft_us < 0 else event.ttft_us,
        "attempts": len(event.attempts),
        "trace": event.trace_json,
    }
