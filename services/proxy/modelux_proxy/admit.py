"""Let a request in:
whose key it is, what it may use, which policy it names, what it is tagged with, what it may spend.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import sha256

from modelux_calling.openai_schema import check_tags
from modelux_calling.tenants import Key, Project, Tenants
from modelux_contracts.errors import OpenAIError
from modelux_proxy.exchange import Exchange
from routing_core.config import NamedPolicy

_PREFIX = b"Bearer mlx_sk_"
_MAX_KEY_BYTES = 256
_MAX_SEEN = 10_000
_UNAUTHORIZED = OpenAIError(
    401,
    "a valid proxy key is required: send Authorization: Bearer mlx_sk_...",
    code="invalid_api_key",
    headers=(("www-authenticate", "Bearer"),),
)


def authenticate(tenants: Tenants, exchange: Exchange, now_us: int) -> Key:
    """The key of a request. Raises OpenAIError (401) in the same words whatever is wrong with it."""
    given = exchange.headers.get(b"authorization", b"")
    known = tenants.seen.get(given)
    if known is not None and not known.expires_at_us and not exchange.repeated:
        return known
    if not given.startswith(_PREFIX) and given[:7].lower() != b"bearer ":
        raise _UNAUTHORIZED
    if len(given) > _MAX_KEY_BYTES or b"authorization" in exchange.repeated:
        raise _UNAUTHORIZED
    key = tenants.keys.get(sha256(given[7:].strip()).digest())
    if key is None or (key.expires_at_us and key.expires_at_us <= now_us):
        raise _UNAUTHORIZED
    if len(tenants.seen) < _MAX_SEEN:
        tenants.seen[given] = key
    return key


def resolve(key: Key, model: str) -> NamedPolicy:
    """The policy that `@slug`, `@slug:version` or a plain model names. Raises OpenAIError (403, 404)."""
    project = key.project
    if model[0] != "@":
        _check_allowed(key, model)
        policy = project.plain.get(model)
        if policy is not None:
            return policy
        if not project.offers_for(model):
            raise _unknown_model(project, model)
        return project.plain_policy(model)
    slug = model[1:]
    found = project.policies.get(slug)
    if found is None:
        raise _unknown_slug(project, slug)
    _check_allowed(key, f"@{found.name}")
    return found


def tags_of(exchange: Exchange, body_tags: Mapping[str, str] | None) -> Mapping[str, str]:
    """Tags of the body, over those of the header `x-modelux-tags: team=search, run_id=r1`. Raises OpenAIError (400)."""
    header = exchange.headers.get(b"x-modelux-tags")
    if header is None:
        return body_tags or {}
    tags: dict[str, str] = {}
    for item in header.decode("utf-8", "replace").split(","):
        name, separator, value = item.partition("=")
        if not separator and item.strip():
            raise OpenAIError(400, "x-modelux-tags holds name=value pairs, separated by commas", code="invalid_value")
        if separator:
            tags[name.strip()] = value.strip()
    tags |= body_tags or {}
    check_tags(tags, "x-modelux-tags")
    return tags


def _check_allowed(key: Key, name: str) -> None:
    if key.allowed and name not in key.allowed and name.rpartition(":")[0] not in key.allowed:
        raise OpenAIError(
            403, f"this key may not use {name!r}", code="model_not_allowed", type="permission_error", param="model"
        )


def _unknown_model(project: Project, model: str) -> OpenAIError:
    near = get_close_matches(model[:100], list(project.offers)[:5000], 3)
    hint = f"; did you mean {_or(near)}?" if near else "; GET /v1/models lists what this key can use"
    message = f"the model {_short(model)!r} is not available to this project{hint}"
    return OpenAIError(404, message, code="model_not_found", param="model")


def _unknown_slug(project: Project, slug: str) -> OpenAIError:
    name, _, version = slug.partition(":")
    if name in project.archived:
        message = f"the routing config '@{name}' is archived"
        return OpenAIError(404, message, code="config_archived", param="model")
    if version and name in project.policies:
        message = f"the routing config '@{name}' has no version {_short(version)!r}"
        return OpenAIError(404, message, code="config_version_not_found", param="model")
    slugs = [known for known in project.policies if ":" not in known]
    near = get_close_matches(name[:100], slugs, 3, 0.4) or sorted(slugs)[:3]
    hint = f"; did you mean {_or(['@' + each for each in near])}?" if near else ""
    message = f"there is no routing config '@{_short(name)}' in this project{hint}"
    return OpenAIError(404, message, code="model_not_found", param="model")


def _or(names: list[str]) -> str:
    return " or ".join(names)


def _short(name: str) -> str:
    return name if len(name) <= 80 else name[:80] + "…"
