"""Policy documents at the door: strict JSON, the routing core's checks, and what else the project must have for them
to work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, cast

from modelux_config.problems import refused_policy
from modelux_config.records import Row, canonical
from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError, invalid
from routing_core.config import Policy, dump_policy, parse_policy, references, strategy_of, validate
from routing_core.errors import InvalidConfig

MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Parsed:
    """A policy and its canonical document."""

    policy: Policy
    text: str
    kind: str


def parse(policy_json: bytes, field: str = "policy") -> Parsed:
    """Reads a document as a user wrote it. Raises a 422 problem with the path of the fault."""
    if len(policy_json) > MAX_BYTES:
        raise invalid(FieldError(field, f"has {len(policy_json):,} bytes", f"Use at most {MAX_BYTES:,}."))
    try:
        document = json.loads(policy_json, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise invalid(FieldError(field, "is nested too deeply")) from error
    except ValueError as error:
        raise invalid(FieldError(field, f"is not JSON: {error}")) from error
    try:
        policy = parse_policy(document)
    except InvalidConfig as error:
        raise refused_policy(error, field) from error
    return Parsed(policy, canonical(dump_policy(policy)), strategy_of(policy))


def stored(row: Row) -> Policy:
    """The policy of a stored version: it was checked when it was saved."""
    return parse_policy(json.loads(cast(str, row["policy"])))


async def check(scope: Scope, project_id: str, slug: str, parsed: Parsed, field: str = "policy") -> None:
    """Refuses unknown references, circles and credentials that the organization does not have (422)."""
    known = await known_policies(scope, project_id, parsed.policy)
    try:
        validate(parsed.policy, known, slug=slug)
    except InvalidConfig as error:
        raise refused_policy(error, field) from error
    for where, credential_id in credential_ids(json.loads(parsed.text)):
        if await scope.row("credentials", "get", id=credential_id) is None:
            message = f"there is no credential {credential_id[:80]!r}"
            raise invalid(FieldError(f"{field}{where}", message, "List the credentials to see their ids."))


async def check_dependents(scope: Scope, project_id: str, slug: str, policy: Policy) -> None:
    """Before `policy` becomes what `@slug` means: every active policy of the project must still hold (422)."""
    actives = await scope.rows("versions", "actives", project_id=project_id)
    policies = {cast(str, row["slug"]): stored(row) for row in actives} | {slug: policy}
    known = await _with_pinned(scope, project_id, policies, own_slug=slug)
    for name, each in policies.items():
        try:
            validate(each, known, slug=name)
        except InvalidConfig as error:
            if name == slug:
                raise refused_policy(error) from error
            hint = f"Change @{name} first."
            raise invalid(
                FieldError("version", f"@{name} refers to @{slug} and would break: {error.message}", hint)
            ) from error


async def known_policies(scope: Scope, project_id: str, policy: Policy) -> Mapping[str, Policy]:
    """The active policies of the project by slug, and every pinned version that `policy` or they lead to."""
    actives = await scope.rows("versions", "actives", project_id=project_id)
    return await _with_pinned(scope, project_id, {cast(str, row["slug"]): stored(row) for row in actives}, policy)


def credential_ids(document: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every credential that a document names, with its path (`.attempts[0].provider_credential_id`)."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "provider_credential_id" and isinstance(value, str):
                yield f"{path}.{key}", value
            else:
                yield from credential_ids(value, f"{path}.{key}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from credential_ids(value, f"{path}[{index}]")


async def _with_pinned(
    scope: Scope, project_id: str, actives: Mapping[str, Policy], *others: Policy, own_slug: str = ""
) -> Mapping[str, Policy]:
    known = dict(actives)
    waiting = [*actives.values(), *others]
    while waiting:
        for _, ref in references(waiting.pop()):
            if ref.version is None or ref.key in known:
                continue
            asked = {"slug": ref.slug, "version": ref.version, "own_slug": own_slug}
            row = await scope.row("versions", "pinned", project_id=project_id, **asked)
            if row is not None:
                known[ref.key] = stored(row)
                waiting.append(known[ref.key])
    return known


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
