"""`GET /v1/models`: the slugs and models that a key can use."""

from __future__ import annotations

import msgspec

from modelux_calling.tenants import Key
from modelux_contracts.errors import OpenAIError

_encode = msgspec.json.Encoder().encode


def listing(key: Key) -> bytes:
    """Slugs first, then models, as OpenAI's list object."""
    project = key.project
    entries = [_entry(f"@{slug}", "modelux") for slug in sorted(project.policies) if ":" not in slug]
    for model in sorted(project.offers):
        providers = sorted({offer.target.provider for offer in project.offers[model]})
        entries.append(_entry(model, ",".join(providers)))
    if key.allowed:
        entries = [each for each in entries if each["id"] in key.allowed]
    return _encode({"object": "list", "data": entries})


def one(key: Key, name: str) -> bytes:
    """One of them. Raises OpenAIError (404)."""
    project = key.project
    found = name[1:] in project.policies if name.startswith("@") else bool(project.offers_for(name))
    if not found or (key.allowed and name not in key.allowed):
        raise OpenAIError(
            404, f"the model {name[:80]!r} is not available to this key", code="model_not_found", param="model"
        )
    offers = project.offers_for(name)
    return _encode(_entry(name, ",".join(sorted({offer.target.provider for offer in offers})) or "modelux"))


def _entry(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
