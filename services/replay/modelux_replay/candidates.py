"""Read the candidate of an experiment: a strategy with its fields, or a version of a routing config."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelux.config.v1 import snapshot_pb2 as config
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_providers.catalog import Catalog
from modelux_replay.configuration import offers
from modelux_replay.plan import Document
from routing_core.config import (
    STRATEGIES,
    Policy,
    Ref,
    dump_policy,
    model_names,
    parse_policy,
    parse_reference,
    references,
    validate,
)
from routing_core.errors import ModeluxError
from routing_core.world import World

_FIELD = "candidateConfig"
_NO_ENSEMBLE = (
    "an ensemble weighs several answers against each other, which a replay cannot know without asking every member for "
    "every row: ensemble policies cannot be used as candidates in experiments"
)
_STRATEGIES = ", ".join(sorted(set(STRATEGIES) - {"ensemble"}))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate that can be replayed. `reference` is `@slug:version`, or empty where it was written out."""

    document: Document
    reference: str


def read_candidate(spec: pb.ExperimentSpec, configuration: config.Snapshot, catalog: Catalog, now_ms: int) -> Candidate:
    """Raises a 422 problem with the path of the fault: unreadable, an ensemble, unknown references, credentials or
    models.
    """
    written = _document(spec)
    versions = _versions(configuration)
    known = {name: parse_policy(json.loads(document.policy_json)) for name, document in versions.items()}
    try:
        policy = parse_policy(written)
        if isinstance(policy, Ref):
            return _referred(policy, versions, known)
        validate(policy, known)
    except ModeluxError as error:
        raise invalid(FieldError(_place(error.where), error.message, error.hint), code=error.code) from error
    _refuse_ensembles(policy, known)
    _check_reach(policy, configuration, catalog, now_ms)
    text = json.dumps(dump_policy(policy), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Candidate(Document("", 0, text.encode()), "")


def documents(configuration: config.Snapshot) -> tuple[Document, ...]:
    """Every version of every routing config of the project."""
    return tuple(
        Document(each.slug, version.version, bytes(version.policy_json))
        for each in configuration.routing_configs
        for version in each.versions
    )


def _document(spec: pb.ExperimentSpec) -> object:
    """The policy document that strategy and fields make together."""
    try:
        written = json.loads(spec.candidate_config_json or b"null")
    except (ValueError, RecursionError) as error:
        raise invalid(FieldError(_FIELD, f"is not JSON: {error}")) from error
    if written is None:
        hint = 'Give the fields of the policy, such as {"model": "gpt-4o-mini"}, or \'@slug\' of a routing config.'
        raise invalid(FieldError(_FIELD, "is missing", hint))
    strategy = spec.candidate_policy
    if isinstance(written, str) and written.startswith("@") and strategy in ("", "reference"):
        return written
    if not isinstance(written, dict):
        raise invalid(FieldError(_FIELD, "is not an object", "Give the fields of the policy, or '@slug'."))
    if "ref" in written and strategy in ("", "reference"):
        return written
    named = written.get("strategy", strategy)
    if not named:
        raise invalid(FieldError("candidatePolicy", "is missing", f"One of {_STRATEGIES}."))
    if strategy and named != strategy:
        hint = "Leave candidatePolicy or candidateConfig.strategy out."
        raise invalid(FieldError("candidatePolicy", f"is {strategy!r}, but candidateConfig says {named!r}", hint))
    if named == "ensemble":
        raise invalid(FieldError("candidatePolicy", _NO_ENSEMBLE, f"One of {_STRATEGIES}."), code="ensemble_candidate")
    if named not in STRATEGIES:
        raise invalid(FieldError("candidatePolicy", f"{str(named)[:40]!r} is no strategy", f"One of {_STRATEGIES}."))
    return {**written, "strategy": named}


def _versions(configuration: config.Snapshot) -> dict[str, Document]:
    """By `slug` the active version of what is in service, by `slug:version` every one."""
    found: dict[str, Document] = {}
    for document in documents(configuration):
        found[f"{document.slug}:{document.version}"] = document
    for each in configuration.routing_configs:
        if not each.archived and f"{each.slug}:{each.active_version}" in found:
            found[each.slug] = found[f"{each.slug}:{each.active_version}"]
    return found


def _referred(ref: Ref, versions: Mapping[str, Document], known: Mapping[str, Policy]) -> Candidate:
    document = versions.get(ref.key)
    if document is None:
        validate(ref, known)  # says what is near
        raise AssertionError("validate refuses what is not known")
    _refuse_ensembles(known[ref.key], known)
    return Candidate(document, f"@{document.slug}:{document.version}")


def _refuse_ensembles(policy: Policy, known: Mapping[str, Policy]) -> None:
    """Also those that a reference leads to."""
    waiting, seen = [policy], set[str]()
    while waiting:
        each = waiting.pop()
        if _holds_ensemble(dump_policy(each)):
            raise invalid(FieldError(_FIELD, _NO_ENSEMBLE, f"Use {_STRATEGIES}."), code="ensemble_candidate")
        for _, ref in references(each):
            if ref.key in known and ref.key not in seen:
                seen.add(ref.key)
                waiting.append(known[ref.key])


def _holds_ensemble(document: object) -> bool:
    if isinstance(document, Mapping):
        return document.get("strategy") == "ensemble" or any(_holds_ensemble(each) for each in document.values())
    return isinstance(document, list) and any(_holds_ensemble(each) for each in document)


def _check_reach(policy: Policy, configuration: config.Snapshot, catalog: Catalog, now_ms: int) -> None:
    """A model that no credential of the project offers cannot be evaluated, so the typo is told now."""
    world = World(offers(configuration, catalog, now_ms))
    ids = {each.id for each in configuration.credentials}
    errors = []
    for where, credential_id in _credential_ids(dump_policy(policy)):
        if credential_id not in ids:
            message = f"the project may use no credential {credential_id[:80]!r}"
            errors.append(FieldError(_place(where), message, "List the credentials to see their ids."))
    for where, name in model_names(policy):
        if not world.resolve(name):
            hint = "Check the name, or add a credential of its provider."
            errors.append(FieldError(_place(where), f"no credential of the project offers {name[:80]!r}", hint))
    if errors:
        raise invalid(*errors, code="unknown_model" if not errors[0].field.endswith("_id") else "unknown_credential")


def _credential_ids(document: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(document, Mapping):
        for key, value in document.items():
            below = f"{path}.{key}" if path else str(key)
            if key == "provider_credential_id" and isinstance(value, str):
                yield below, value
            else:
                yield from _credential_ids(value, below)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _credential_ids(value, f"{path}[{index}]")


def _place(where: str) -> str:
    if where == "strategy":
        return "candidatePolicy"
    return f"{_FIELD}.{where}" if where and not where.startswith("[") else f"{_FIELD}{where}"


def parse_slug(text: str) -> str:
    """The slug of a routing config, with or without the @. Raises a 422 problem on `slug`."""
    try:
        return parse_reference(text if text.startswith("@") else f"@{text}").slug
    except ModeluxError as error:
        raise invalid(FieldError("slug", error.message, error.hint)) from error
