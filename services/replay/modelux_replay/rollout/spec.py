"""Check what a rollout is asked to be, fill in what was left out, and read the split that it steps."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from experiment_core.criteria import OPERATORS, Criteria, parse_criteria
from modelux.replay.v1 import rollout_pb2 as pb
from modelux_contracts.refusals import FieldError, conflict, invalid
from modelux_replay.promote import ARM, CURRENT
from modelux_replay.rollout.arms import MOST
from modelux_replay.rollout.guards import METRICS
from modelux_replay.rollout.stepping import WHOLE, Plan
from routing_core.errors import ModeluxError

STEPS = (5, 25, 50, WHOLE)
MOST_STEPS = 10
STEP_S, STEP_S_RANGE = 600, (1, 7 * 86_400)
STEP_REQUESTS, STEP_REQUESTS_RANGE = 200, (1, MOST)
GUARDS: Mapping[str, Any] = {
    "logic": "and",
    "min_sample_size": 100,
    "predicates": [
        {"metric": "error_rate_delta_pct", "op": "<=", "value": 1},
        {"metric": "p95_latency_delta_pct", "op": "<=", "value": 20},
    ],
}
"""No more than a point more errors, and no more than a fifth slower."""
_REF = re.compile(r"@([a-z0-9][a-z0-9_-]*):(\d{1,9})")


def check_rollout(asked: pb.RolloutSpec) -> pb.RolloutSpec:
    """With everything filled in. Raises a 422 problem that names the fields."""
    spec = pb.RolloutSpec()
    spec.CopyFrom(asked)
    errors = _steps(spec)
    spec.step_s, spec.step_requests = spec.step_s or STEP_S, spec.step_requests or STEP_REQUESTS
    for field, value, (least, most) in (
        ("stepSeconds", spec.step_s, STEP_S_RANGE),
        ("stepRequests", spec.step_requests, STEP_REQUESTS_RANGE),
    ):
        if not least <= value <= most:
            errors.append(FieldError(field, f"{value:,} is not between {least:,} and {most:,}"))
    if not spec.experiment_id:
        hint = "Name an experiment that was promoted with mode ab_test."
        errors.append(FieldError("experimentId", "is missing", hint))
    if errors:
        raise invalid(*errors)
    spec.guards_json = spec.guards_json or json.dumps(GUARDS).encode()
    read_guards(spec.guards_json)
    return spec


def plan_of(spec: pb.RolloutSpec) -> Plan:
    """Of a spec that was checked."""
    return Plan(tuple(spec.steps), spec.step_s * 1_000_000, spec.step_requests, read_guards(spec.guards_json))


def read_guards(text: bytes) -> Criteria:
    """Success criteria over live arms. Raises a 422 problem."""
    try:
        guards = parse_criteria(json.loads(text), "guards")
    except (ValueError, RecursionError) as error:
        raise invalid(FieldError("guards", f"is not JSON: {error}")) from error
    except ModeluxError as error:
        raise invalid(FieldError(error.where, error.message, error.hint), code=error.code) from error
    for number, each in enumerate(guards.predicates):
        if each.metric not in METRICS:
            hint = f"Live arms have: {', '.join(METRICS)}."
            raise invalid(
                FieldError(f"guards.predicates[{number}].metric", f"{each.metric} is not measured live", hint)
            )
        if not OPERATORS[each.op][0]:
            hint = "Say what the candidate must stay below: '<' or '<='."
            raise invalid(FieldError(f"guards.predicates[{number}].op", f"{each.op!r} guards nothing", hint))
    return guards


@dataclass(frozen=True, slots=True)
class Splitting:
    """A split between a version of a slug and a candidate."""

    policy: Mapping[str, Any]
    base_version: int
    percent: int

    def at(self, percent: int) -> object:
        """The policy that gives the candidate such a share; all of it: the candidate alone."""
        if percent == WHOLE:
            return next(arm["policy"] for arm in self.policy["split"] if arm["name"] == ARM)
        policy: dict[str, Any] = copy.deepcopy(dict(self.policy))
        for arm in policy["split"]:
            arm["weight"] = (percent if arm["name"] == ARM else WHOLE - percent) / WHOLE
        return policy


def read_split(policy_json: str | bytes, slug: str) -> Splitting:
    """As promoting an experiment with mode ab_test makes it. Raises a 409 problem where it is no such split."""
    policy = json.loads(policy_json)
    arms = policy.get("split", ()) if isinstance(policy, dict) and policy.get("strategy") == "ab_test" else ()
    by_name = {arm.get("name"): arm for arm in arms}
    if len(arms) != 2 or set(by_name) != {ARM, CURRENT}:
        raise _no_split(slug)
    current = by_name[CURRENT]["policy"]
    found = _REF.fullmatch(current["ref"]) if isinstance(current, dict) and set(current) == {"ref"} else None
    if found is None or found[1] != slug:
        raise _no_split(slug)
    weights = {name: float(arm.get("weight", 1)) for name, arm in by_name.items()}
    return Splitting(policy, int(found[2]), round(WHOLE * weights[ARM] / sum(weights.values())))


def _no_split(slug: str) -> Exception:
    detail = f"The active version of @{slug} is no split between a version of it and a promoted candidate."
    return conflict("not_a_split", detail, "Promote the experiment with mode ab_test, and start then.")


def _steps(spec: pb.RolloutSpec) -> list[FieldError]:
    if not spec.steps:
        spec.steps.extend(STEPS)
    steps = list(spec.steps)
    hint = f"Such as {', '.join(map(str, STEPS))}."
    if len(steps) < 2 or len(steps) > MOST_STEPS:
        return [FieldError("steps", f"there are {len(steps)}, not 2 to {MOST_STEPS}", hint)]
    if steps[-1] != WHOLE or steps[0] < 1 or any(one >= other for one, other in pairwise(steps)):
        return [FieldError("steps", "are not whole percentages that rise from 1 or more to 100", hint)]
    return []
