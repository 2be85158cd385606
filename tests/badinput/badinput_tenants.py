"""What the proxy under test is configured with: two projects, their keys, and providers that are the simulator."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from hashlib import sha256

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_calling.snapshot import Builder
from modelux_calling.tenants import Tenants
from modelux_contracts.hosts import host_of
from modelux_providers.catalog import Catalog
from modelux_store.secrets import seal

KEY = "mlx_sk_canary4a7f01"
OTHER_KEY = "mlx_sk_canary4a7f02"
EXPIRED_KEY = "mlx_sk_canary4a7f03"
REVOKED_KEY = "mlx_sk_canary4a7f04"
MANAGEMENT_KEY = "mlx_mk_canary4a7f05"
SECRETS: Mapping[str, str] = {
    "openai": "sk-proj-canary8c1d0123456789",
    "mistral": "c4n4ry8c1d0123456789abcdefabcdef",
    "anthropic": "sk-ant-canary8c1d0123456789",
    "google": "AIzaCanary8c1d0123456789",
}
"""What the project stored per provider; none of it may ever be seen by a caller."""
MODELS: Mapping[str, tuple[str, ...]] = {
    "openai": ("gpt-4o", "text-embedding-3-small"),
    "mistral": ("mistral-small-latest",),
    "anthropic": ("claude-sonnet-4-5",),
    "google": ("gemini-2.5-flash",),
}
_PATHS: Mapping[str, str] = {"google": "/v1beta"}
POLICIES: Mapping[str, object] = {
    "production": {
        "strategy": "fallback",
        "attempts": [{"model": "gpt-4o"}, {"model": "mistral-small-latest"}],
        "retry_on": ["429", "5xx", "timeout", "connect", "invalid", "cut"],
    },
}
_ENCRYPTION_KEY = bytes(range(32))


def tenants(url: str, base_urls: Mapping[str, str]) -> Tenants:
    """Two projects; the providers of both are the simulator."""
    catalog = Catalog.load()
    return Builder(_ENCRYPTION_KEY, catalog).build(_snapshot(url, base_urls), int(time.time() * 1000))


def _snapshot(url: str, base_urls: Mapping[str, str]) -> pb.Snapshot:
    def policies(project: str, documents: Mapping[str, object]) -> list[pb.RoutingConfig]:
        return [
            pb.RoutingConfig(
                id=f"cfg_{project}_{slug}",
                project_id=project,
                slug=slug,
                active_version=1,
                versions=[pb.RoutingConfigVersion(version=1, policy_json=json.dumps(document).encode())],
            )
            for slug, document in documents.items()
        ]

    return pb.Snapshot(
        version=1,
        projects=[
            pb.Project(id="proj_1", organization_id="org_1", logging_mode="full"),
            pb.Project(id="proj_2", organization_id="org_2", logging_mode="metadata_only"),
        ],
        keys=[
            pb.ProxyKey(id="key_1", project_id="proj_1", hash=sha256(KEY.encode()).digest()),
            pb.ProxyKey(id="key_2", project_id="proj_2", hash=sha256(OTHER_KEY.encode()).digest()),
            pb.ProxyKey(
                id="key_3", project_id="proj_1", hash=sha256(EXPIRED_KEY.encode()).digest(), expires_at_us=1_000
            ),
        ],
        credentials=[
            *[_credential(name, "org_1", base_urls.get(name) or _base(url, name)) for name in MODELS],
            _credential("openai", "org_2", _base(url, "openai")),
        ],
        routing_configs=[
            *policies("proj_1", POLICIES),
            *policies("proj_2", {"secret-plan": {"strategy": "single", "model": "gpt-4o"}}),
        ],
    )


def _base(url: str, provider: str) -> str:
    return f"{url}/{provider}{_PATHS.get(provider, '/v1')}"


def _credential(provider: str, organization_id: str, base_url: str) -> pb.Credential:
    credential_id = f"pc_{organization_id}_{provider}"
    sealed = seal(
        _ENCRYPTION_KEY,
        SECRETS[provider].encode(),
        organization_id=organization_id,
        credential_id=credential_id,
        host=host_of(base_url),
    )
    return pb.Credential(
        id=credential_id,
        organization_id=organization_id,
        provider=provider,
        base_url=base_url,
        sealed_secret=sealed,
        models=MODELS[provider],
        allow_private=True,
    )
