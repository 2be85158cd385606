"""Who judges: the model or routing config that a run names, what it takes, and what a call to it is likely to cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from experiment_core.judge.envelope import Case, Question, question
from modelux_calling.tenants import Project
from modelux_contracts.refusals import FieldError, invalid
from routing_core.config import NamedPolicy, Policy, Ref, dump_policy, model_names, parse_reference, references
from routing_core.errors import ModeluxError
from routing_core.pricing import cost
from routing_core.types import Usage
from routing_core.world import Offer

DEFAULT = "gpt-4o"
FIELD = "judgeModel"
LONGEST_REPLY_TOKENS = 700
LONGEST_THINKING_TOKENS = 4_000
"""Of reasoning models, whose thoughts count as output."""
USUAL_REPLY_TOKENS = 90
CHARS_PER_TOKEN = 4
_LONGEST_NAME = 200
_NO_ENSEMBLE = "an ensemble weighs several answers against each other: its reply would be no single judge's"


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge of one project. `offers` are the first of every model that it may come to."""

    reference: str
    """As runs keep it: a routing config with its version."""
    policy: NamedPolicy
    offers: tuple[Offer, ...]

    @property
    def parameters(self) -> dict[str, object]:
        """What goes with each call beside the messages."""
        if any("reasoning" in offer.capabilities for offer in self.offers):
            return {"max_completion_tokens": LONGEST_THINKING_TOKENS}
        return {"max_tokens": LONGEST_REPLY_TOKENS, "temperature": 0}

    def response_format(self, asked: Question) -> dict[str, object]:
        """Binds the reply to its form, where every model can be bound."""
        if not all("json_schema" in offer.capabilities for offer in self.offers):
            return {}
        schema = {"name": "verdict", "strict": True, "schema": asked.schema()}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def call_nano(self, tokens: float, rubric: str) -> int:
        """The likely cost of one call about texts of so many tokens, at the dearest of its models."""
        sent = math.ceil(tokens) + envelope_tokens(rubric)
        reply = USUAL_REPLY_TOKENS
        if any("reasoning" in offer.capabilities for offer in self.offers):
            reply = LONGEST_THINKING_TOKENS // 4
        prices = [offer.price for offer in self.offers if offer.price is not None]
        return max(cost(price, Usage(input=sent, output=reply)) for price in prices)


def find_judge(project: Project, written: str) -> Judge:
    """Raises a 422 problem on `judgeModel`: nothing of that name, an ensemble, a model without a price."""
    name = written or DEFAULT
    if len(name) > _LONGEST_NAME:
        raise _refused(f"has {len(name):,} characters", f"Use at most {_LONGEST_NAME}.")
    reference, policy = _named(project, name) if name.startswith("@") else (name, project.plain_policy(name))
    for each in _reached(policy.policy, project.policies):
        if _holds_ensemble(dump_policy(each)):
            raise _refused(_NO_ENSEMBLE, "Name a model, or another routing config.", "ensemble_judge")
    return Judge(reference, policy, tuple(_offers(project, policy.policy)))


def envelope_tokens(rubric: str) -> int:
    """Of what we add to the texts of a pair."""
    empty = question(Case("", "", ""), rubric, "baseline_first", bytes(16), "")
    return math.ceil(sum(len(each.content) for each in empty.messages) / CHARS_PER_TOKEN)


def kin(judge: Judge, models: frozenset[str]) -> list[str]:
    """Models of the experiment that are of the judge's family, which a judge tends to prefer."""
    families = {_family(offer.target.model) for offer in judge.offers}
    return sorted(model for model in models if _family(model) in families)


def _named(project: Project, name: str) -> tuple[str, NamedPolicy]:
    try:
        key = parse_reference(name).key
    except ModeluxError as error:
        raise _refused(error.message, error.hint) from error
    found = project.policies.get(key)
    if found is None or found.name in project.archived:
        known = ", ".join(sorted(f"@{slug}" for slug in project.policies if ":" not in slug)[:10])
        raise _refused(f"there is no routing config {name[:80]!r}", f"There are: {known}." if known else "")
    return f"@{found.name}:{found.version}", found


def _offers(project: Project, policy: Policy) -> Iterator[Offer]:
    for each in _reached(policy, project.policies):
        for _, model in model_names(each):
            found = project.offers_for(model)
            if not found:
                hint = "Check the name, or add a credential of its provider."
                raise _refused(f"no credential of the project offers {model[:80]!r}", hint, "unknown_model")
            if found[0].price is None:
                hint = "Set its price first (PUT /prices): without one no spend cap can hold."
                raise _refused(f"nobody knows what {model[:80]!r} costs", hint, "price_unknown")
            yield found[0]


def _reached(policy: Policy, known: Mapping[str, NamedPolicy]) -> Iterator[Policy]:
    """The policy and all that it refers to."""
    waiting, seen = [policy], set[str]()
    while waiting:
        each = waiting.pop()
        if not isinstance(each, Ref):
            yield each
        for _, ref in references(each):
            if ref.key in known and ref.key not in seen:
                seen.add(ref.key)
                waiting.append(known[ref.key].policy)


def _holds_ensemble(document: object) -> bool:
    if isinstance(document, Mapping):
        return document.get("strategy") == "ensemble" or any(_holds_ensemble(each) for each in document.values())
    return isinstance(document, list) and any(_holds_ensemble(each) for each in document)


def _family(model: str) -> str:
    """The maker's line: gpt, claude, gemini."""
    return model.rsplit("/", 1)[-1].lower().partition("-")[0]


def _refused(message: str, hint: str, code: str = "invalid_request") -> Exception:
    return invalid(FieldError(FIELD, message, hint), code=code)
