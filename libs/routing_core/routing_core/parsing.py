"""Turn a policy document (JSON as Python values) into a checked `Policy`, strictly.

A policy is an object with `strategy`, an object `{"ref": "@slug"}` or `{"ref": "@slug:3"}`, or text: `@slug`,
`@slug:3` or a model's name. Models are not looked up here: a document may name a model that the project reaches only
later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from routing_core.errors import InvalidConfig
from routing_core.patterns import Pattern, compile_pattern
from routing_core.reading import Node
from routing_core.rules import compile_rule
from routing_core.shapes import (
    DEFAULT_EXPLORE,
    DEFAULT_OUTPUT_TOKENS,
    DEFAULT_RETRY_ON,
    AbTest,
    Aggregation,
    Arm,
    Cascade,
    Case,
    Confidence,
    CostOptimized,
    CustomRules,
    Ensemble,
    Fallback,
    LatencyOptimized,
    Member,
    Metric,
    Policy,
    Ref,
    SelfScore,
    Single,
    Try,
)

MAX_DEPTH = 5
MAX_ATTEMPTS = 10
MAX_FAN_OUT = 10
MAX_TIMEOUT_MS = 600_000
TIERS = ("light", "standard", "strong", "frontier")
_MAX_MODELS = 50
_MAX_ARMS = 20
_MAX_RULES = 50
_MAX_RULE_TEXT = 100 * 1024
_MAX_WEIGHT = 1_000_000.0
_MAX_VERSION = 2**31 - 1
_CLASSES = ("5xx", "timeout", "connect", "cut", "invalid", "credentials")
_AGGREGATIONS = {"voting": "voting", "first_valid": "first_valid", "weighted": "weighted", "weighted_vote": "weighted"}
_UNITS = ("request_id", "end_user_id", "key_id")
_TRY = ("model", "timeout_ms", "provider_credential_id")
_CONFIDENCE = ("min_logprob_mean", "json_valid", "json", "no_refusal", "self_score", "matches", "regex")
_SLUG = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_LONGEST_SLUG = 63


def parse_policy(doc: object) -> Policy:
    """The policy that `doc` describes. Raises InvalidConfig with the path of a fault (`split[1].policy.model`)."""
    return _policy(Node(doc), 1)


def parse_reference(text: str) -> Ref:
    """`@slug` or `@slug:version` as a reference. Raises InvalidConfig."""
    return _reference(Node(text, ""))


def _policy(node: Node, depth: int) -> Policy:
    if depth > MAX_DEPTH:
        raise node.error(
            f"policies nest at most {MAX_DEPTH} deep", "Move a part into a policy of its own, or flatten the rules."
        )
    if isinstance(node.value, str):
        return _reference(node) if node.value.startswith("@") else Single(_model(node))
    if isinstance(node.value, Mapping) and "ref" in node.value:
        return _reference(node.fields(("ref",))["ref"])
    if not isinstance(node.value, Mapping):
        raise node.error("a policy is an object with 'strategy', or '@slug', or a model's name")
    if "strategy" not in node.value:
        raise node.child("strategy").error("'strategy' is missing", f"One of {', '.join(sorted(STRATEGIES))}.")
    return STRATEGIES[node.child("strategy").choice(tuple(STRATEGIES))](node, depth)


def _fields(node: Node, known: Sequence[str], required: Sequence[str] = ()) -> dict[str, Node]:
    return node.fields(("strategy", *known), required)


def _single(node: Node, depth: int) -> Single:
    found = _fields(node, _TRY, ("model",))
    return Single(_model(found["model"]), _credential(found), _timeout(found))


def _fallback(node: Node, depth: int) -> Fallback:
    found = _fields(node, ("attempts", "retry_on"), ("attempts",))
    return Fallback(_tries(found["attempts"], _TRY), _retry_on(found))


def _cascade(node: Node, depth: int) -> Cascade:
    found = _fields(node, ("attempts", "retry_on"), ("attempts",))
    return Cascade(_tries(found["attempts"], (*_TRY, "confidence")), _retry_on(found))


def _cost_optimized(node: Node, depth: int) -> CostOptimized:
    known = ("allow", "deny", "min_tier", "quality", "retry_on", "timeout_ms", "expected_output_tokens")
    found = _fields(node, known)
    allow = _models(found["allow"]) if "allow" in found else None
    deny = _models(found["deny"]) if "deny" in found else ()
    if allow is not None and set(allow) <= set(deny):
        raise found["deny"].error("denies every model that 'allow' lists")
    output = (
        found["expected_output_tokens"].integer(1, 1_000_000)
        if "expected_output_tokens" in found
        else DEFAULT_OUTPUT_TOKENS
    )
    return CostOptimized(allow, deny, _tier(found), _retry_on(found), _timeout(found), output)


def _latency_optimized(node: Node, depth: int) -> LatencyOptimized:
    found = _fields(node, ("models", "metric", "explore", "retry_on", "timeout_ms"), ("models",))
    metric = cast(Metric, found["metric"].choice(("ttft", "p50"))) if "metric" in found else None
    explore = found["explore"].number(0, 1) if "explore" in found else DEFAULT_EXPLORE
    return LatencyOptimized(_models(found["models"]), metric, explore, _retry_on(found), _timeout(found))


def _ensemble(node: Node, depth: int) -> Ensemble:
    found = _fields(node, ("aggregation", "members", "timeout_ms", "valid"), ("members",))
    word = _AGGREGATIONS[found["aggregation"].choice(tuple(_AGGREGATIONS))] if "aggregation" in found else "voting"
    members = tuple(_member(item) for item in found["members"].items(2, MAX_FAN_OUT))
    if word == "weighted" and not sum(member.weight for member in members) > 0:
        raise found["members"].error("the weights sum to 0")
    valid = _confidence(found["valid"]) if "valid" in found else None
    return Ensemble(members, cast(Aggregation, word), _timeout(found), valid)


def _ab_test(node: Node, depth: int) -> AbTest:
    found = _fields(node, ("split", "sticky_by", "salt"), ("split",))
    arms = tuple(_arm(item, number, depth) for number, item in enumerate(found["split"].items(2, _MAX_ARMS), 1))
    _distinct(found["split"], [arm.name for arm in arms], "name", "arm")
    if not sum(arm.weight for arm in arms) > 0:
        raise found["split"].error("the weights sum to 0", "Give at least one arm a weight above 0.")
    unit = _unit(found["sticky_by"]) if "sticky_by" in found else "request_id"
    return AbTest(arms, unit, found["salt"].text(100) if "salt" in found else None)


def _custom_rules(node: Node, depth: int) -> CustomRules:
    found = _fields(node, ("rules", "otherwise"), ("rules", "otherwise"))
    cases = tuple(_case(item, depth) for item in found["rules"].items(1, _MAX_RULES))
    names = [case.name or f"\0{index}" for index, case in enumerate(cases)]
    _distinct(found["rules"], names, "name", "rule")
    return CustomRules(cases, _policy(found["otherwise"], depth + 1))


def _tries(node: Node, known: Sequence[str]) -> tuple[Try, ...]:
    tries = tuple(_try(item, known) for item in node.items(1, MAX_ATTEMPTS))
    _distinct(node, [f"{item.model}\0{item.credential_id or ''}" for item in tries], "model", "attempt")
    return tries


def _try(node: Node, known: Sequence[str]) -> Try:
    if isinstance(node.value, str):
        return Try(_model(node))
    if isinstance(node.value, Mapping):
        _refuse_nested(node)
        if "confidence" in node.value and "confidence" not in known:
            raise node.child("confidence").error(
                "a fallback takes the first success as it is", "Use the strategy 'cascade'."
            )
    found = node.fields(known, ("model",))
    confidence = _confidence(found["confidence"]) if "confidence" in found else None
    return Try(_model(found["model"]), _credential(found), _timeout(found), confidence)


def _member(node: Node) -> Member:
    if isinstance(node.value, str):
        return Member(_model(node))
    if isinstance(node.value, Mapping):
        _refuse_nested(node)
    found = node.fields(("model", "weight", "timeout_ms", "provider_credential_id"), ("model",))
    return Member(_model(found["model"]), _weight(found, 1.0), _credential(found), _timeout(found))


def _refuse_nested(node: Node) -> None:
    """Attempts and members are models, so that one request makes at most ten calls at a time; policies nest in splits
    and rules.
    """
    for key in ("policy", "strategy", "ref"):
        if isinstance(node.value, Mapping) and key in node.value:
            raise node.child(key).error(
                "names a model, not a policy", "Policies nest in 'split' and 'rules', or behind '@slug' there."
            )


def _arm(node: Node, number: int, depth: int) -> Arm:
    found = node.fields(("weight", "name", "policy"), ("weight", "policy"))
    name = found["name"].word(100) if "name" in found else f"arm_{number}"
    return Arm(name, _weight(found, 0.0), _policy(found["policy"], depth + 1))


def _case(node: Node, depth: int) -> Case:
    found = node.fields(("name", "when", "then"), ("when", "then"))
    name = found["name"].word(100) if "name" in found else ""
    when = found["when"]
    if not isinstance(when.value, str):
        raise when.error("a rule is text")
    if len(when.value) > _MAX_RULE_TEXT:
        raise when.error(f"a rule holds at most {_MAX_RULE_TEXT} characters, has {len(when.value)}")
    try:
        rule = compile_rule(when.value)
    except InvalidConfig as fault:
        raise _within(when, fault) from fault
    return Case(name, when.value, _policy(found["then"], depth + 1), rule)


def _confidence(node: Node) -> Confidence:
    found = node.fields(_CONFIDENCE)
    if not found:
        raise node.error("says nothing", f"Set one of {', '.join(_CONFIDENCE)}.")
    for alias, name in (("json", "json_valid"), ("regex", "matches")):
        if alias in found and name in found:
            raise found[alias].error(f"{alias!r} and {name!r} are the same field", "Keep one.")
    json_valid = found.get("json_valid") or found.get("json")
    matches = found.get("matches") or found.get("regex")
    pattern = _pattern(matches) if matches else None
    return Confidence(
        min_logprob_mean=found["min_logprob_mean"].number(-100, 0) if "min_logprob_mean" in found else None,
        json_valid=json_valid.flag() if json_valid else False,
        no_refusal=found["no_refusal"].flag() if "no_refusal" in found else False,
        self_score=_self_score(found["self_score"]) if "self_score" in found else None,
        matches=pattern.text if pattern else None,
        pattern=pattern,
    )


def _pattern(node: Node) -> Pattern:
    try:
        return compile_pattern(node.text(1000))
    except InvalidConfig as fault:
        raise _within(node, fault) from fault


def _within(node: Node, fault: InvalidConfig) -> InvalidConfig:
    """A fault inside a text of the document: its column behind the text's path."""
    return InvalidConfig(fault.message, where=f"{node.path} {fault.where}".strip(), hint=fault.hint, code=fault.code)


def _self_score(node: Node) -> SelfScore:
    found = node.fields(("marker", "min"), ("marker", "min"))
    return SelfScore(found["marker"].text(100), found["min"].number(0, 1))


def _models(node: Node) -> tuple[str, ...]:
    names = [_model(item) for item in node.items(1, _MAX_MODELS)]
    _distinct(node, names, "", "model")
    return tuple(names)


def _distinct(node: Node, keys: Sequence[str], field: str, noun: str) -> None:
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key in first:
            place = Node(None, f"{node.path}[{index}]{'.' if field else ''}{field}")
            raise place.error(f"the same {field or noun} as in {noun} {first[key] + 1}", "Remove one of the two.")
        first[key] = index


def _model(node: Node) -> str:
    name = node.word()
    if name.startswith("@"):
        raise node.error(
            f"{name!r} is a policy, this place takes a model", "Policies nest in 'split', 'then' and 'otherwise'."
        )
    return name


def _credential(found: Mapping[str, Node]) -> str | None:
    return found["provider_credential_id"].word(100) if "provider_credential_id" in found else None


def _timeout(found: Mapping[str, Node]) -> int | None:
    return found["timeout_ms"].integer(1, MAX_TIMEOUT_MS) if "timeout_ms" in found else None


def _weight(found: Mapping[str, Node], default: float) -> float:
    return found["weight"].number(0, _MAX_WEIGHT) if "weight" in found else default


def _tier(found: Mapping[str, Node]) -> int:
    if "quality" in found and "min_tier" in found:
        raise found["quality"].error("'quality' and 'min_tier' say the same", "Keep one.")
    if "quality" in found:
        return TIERS.index(found["quality"].choice(TIERS)) + 1
    return found["min_tier"].integer(1, len(TIERS)) if "min_tier" in found else 1


def _retry_on(found: Mapping[str, Node]) -> frozenset[str]:
    if "retry_on" not in found:
        return DEFAULT_RETRY_ON
    return frozenset(_retry_word(item) for item in found["retry_on"].items(0, 30))


def _retry_word(node: Node) -> str:
    word = (
        str(node.value)
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 0 < node.value < 1000
        else node.value
    )
    if isinstance(word, str) and len(word) == 3 and word.isascii() and word.isdigit():
        if not "400" <= word <= "599":
            raise node.error(f"{word} is no error status", "Statuses are 400 to 599.")
        return word
    return Node(word, node.path).choice((*_CLASSES, "429"))


def _unit(node: Node) -> str:
    word = node.text(100)
    if word.startswith("tag:") and word != "tag:":
        return word
    return node.choice((*_UNITS, "tag:<name>"))


def _reference(node: Node) -> Ref:
    word = node.word()
    slug, colon, version = word.removeprefix("@").partition(":")
    if not word.startswith("@"):
        raise node.error(f"{word!r} is no reference", "Write '@slug' or '@slug:3'.")
    if not slug or len(slug) > _LONGEST_SLUG or not _SLUG.issuperset(slug):
        hint = f"A slug holds 1 to {_LONGEST_SLUG} characters: small letters, digits, '-' and '_'."
        raise node.error(f"{word!r} is no valid slug", hint)
    if not colon:
        return Ref(slug)
    if not version.isdigit() or len(version) > len(str(_MAX_VERSION)) or not 1 <= int(version) <= _MAX_VERSION:
        raise node.error(f"{version!r} is no version", "Versions are whole numbers from 1: '@slug:3'.")
    return Ref(slug, int(version))


STRATEGIES: Mapping[str, Callable[[Node, int], Policy]] = {
    "single": _single,
    "fallback": _fallback,
    "fallback_chain": _fallback,
    "cost_optimized": _cost_optimized,
    "latency_optimized": _latency_optimized,
    "ensemble": _ensemble,
    "ab_test": _ab_test,
    "cascade": _cascade,
    "custom_rules": _custom_rules,
}
