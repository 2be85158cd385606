"""Write a policy as its canonical JSON document: defaults left out, lists that are sets sorted."""

from __future__ import annotations

from typing import assert_never

from routing_core.shapes import (
    DEFAULT_EXPLORE,
    DEFAULT_OUTPUT_TOKENS,
    DEFAULT_RETRY_ON,
    AbTest,
    Cascade,
    Confidence,
    CostOptimized,
    CustomRules,
    Ensemble,
    Fallback,
    LatencyOptimized,
    Member,
    Policy,
    Ref,
    Single,
    Try,
)

Document = dict[str, object]


def dump_policy(policy: Policy) -> Document:
    """The document that `parse_policy` reads back as an equal policy."""
    match policy:
        case Ref():
            return {"ref": f"@{policy.key}"}
        case Single():
            return {"strategy": "single", **_call(policy)}
        case Fallback():
            return {
                "strategy": "fallback",
                "attempts": [_try(item) for item in policy.attempts],
                **_retry_on(policy.retry_on),
            }
        case Cascade():
            return {
                "strategy": "cascade",
                "attempts": [_try(item) for item in policy.attempts],
                **_retry_on(policy.retry_on),
            }
        case CostOptimized():
            return _cost_optimized(policy)
        case LatencyOptimized():
            return _latency_optimized(policy)
        case Ensemble():
            return _ensemble(policy)
        case AbTest():
            split: list[Document] = [
                {"weight": _number(arm.weight), "name": arm.name, "policy": dump_policy(arm.policy)}
                for arm in policy.split
            ]
            unit: Document = {"sticky_by": policy.sticky_by} if policy.sticky_by != "request_id" else {}
            return {"strategy": "ab_test", "split": split, **unit, **({"salt": policy.salt} if policy.salt else {})}
        case CustomRules():
            rules = [
                {**({"name": case.name} if case.name else {}), "when": case.text, "then": dump_policy(case.then)}
                for case in policy.rules
            ]
            return {"strategy": "custom_rules", "rules": rules, "otherwise": dump_policy(policy.otherwise)}
        case _:
            assert_never(policy)


def _cost_optimized(policy: CostOptimized) -> Document:
    doc: Document = {"strategy": "cost_optimized"}
    if policy.allow is not None:
        doc["allow"] = list(policy.allow)
    if policy.deny:
        doc["deny"] = list(policy.deny)
    if policy.min_tier > 1:
        doc["min_tier"] = policy.min_tier
    if policy.expected_output_tokens != DEFAULT_OUTPUT_TOKENS:
        doc["expected_output_tokens"] = policy.expected_output_tokens
    return {**doc, **_timeout(policy.timeout_ms), **_retry_on(policy.retry_on)}


def _latency_optimized(policy: LatencyOptimized) -> Document:
    doc: Document = {"strategy": "latency_optimized", "models": list(policy.models)}
    if policy.metric:
        doc["metric"] = policy.metric
    if policy.explore != DEFAULT_EXPLORE:
        doc["explore"] = _number(policy.explore)
    return {**doc, **_timeout(policy.timeout_ms), **_retry_on(policy.retry_on)}


def _ensemble(policy: Ensemble) -> Document:
    doc: Document = {"strategy": "ensemble", "aggregation": policy.aggregation}
    doc["members"] = [
        {**_call(member), **({"weight": _number(member.weight)} if member.weight != 1 else {})}
        for member in policy.members
    ]
    doc.update(_timeout(policy.timeout_ms))
    if policy.valid:
        doc["valid"] = _confidence(policy.valid)
    return doc


def _try(attempt: Try) -> Document:
    return {**_call(attempt), **({"confidence": _confidence(attempt.confidence)} if attempt.confidence else {})}


def _call(call: Single | Try | Member) -> Document:
    doc: Document = {"model": call.model}
    if call.credential_id:
        doc["provider_credential_id"] = call.credential_id
    return {**doc, **_timeout(call.timeout_ms)}


def _confidence(rule: Confidence) -> Document:
    doc: Document = {}
    if rule.min_logprob_mean is not None:
        doc["min_logprob_mean"] = _number(rule.min_logprob_mean)
    if rule.json_valid:
        doc["json_valid"] = True
    if rule.no_refusal:
        doc["no_refusal"] = True
    if rule.self_score:
        doc["self_score"] = {"marker": rule.self_score.marker, "min": _number(rule.self_score.min)}
    if rule.matches is not None:
        doc["matches"] = rule.matches
    return doc


def _timeout(timeout_ms: int | None) -> Document:
    return {} if timeout_ms is None else {"timeout_ms": timeout_ms}


def _retry_on(words: frozenset[str]) -> Document:
    return {} if words == DEFAULT_RETRY_ON else {"retry_on": sorted(words)}


def _number(value: float) -> int | float:
    """Whole weights stay whole in the document, as users write them."""
    return int(value) if value == int(value) else value
