"""What a new installation starts with: credentials from the environment, or the demo's providers and configs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelux.config.v1.admin_pb2 import BootstrapCredential, BootstrapRoutingConfig
from modelux_providers.vendors import VENDORS

DEMO_PROVIDERS = ("openai", "anthropic", "google")

_HAIKU, _MINI, _FLASH = "claude-haiku-4-5", "gpt-4o-mini", "gemini-2.5-flash"

DEMO_CONFIGS: dict[str, tuple[str, dict[str, object]]] = {
    "production": (
        "Fallback chain over three providers",
        {
            "strategy": "fallback",
            "attempts": [
                {"model": _HAIKU, "timeout_ms": 2000},
                {"model": _MINI, "timeout_ms": 3000},
                {"model": _FLASH, "timeout_ms": 5000},
            ],
            "retry_on": ["429", "5xx", "timeout"],
        },
    ),
    "planner": (
        "A strong model, with one call in ten to its cheaper sibling",
        {
            "strategy": "ab_test",
            "sticky_by": "tag:run_id",
            "split": [
                {"weight": 90, "name": "control", "policy": {"strategy": "single", "model": "gpt-4o"}},
                {"weight": 10, "name": "mini", "policy": {"strategy": "single", "model": _MINI}},
            ],
        },
    ),
    "executor": (
        "The cheapest small model that can do the call",
        {"strategy": "cost_optimized", "allow": [_MINI, _HAIKU, _FLASH]},
    ),
}


@dataclass(frozen=True, slots=True)
class Seeds:
    """What `Bootstrap` is asked to create."""

    credentials: list[BootstrapCredential]
    configs: list[BootstrapRoutingConfig]


def demo(simulator_url: str) -> Seeds:
    """Credentials of three vendors that all lead to the simulator, and the demo's configs."""
    credentials = [
        BootstrapCredential(
            name=f"{vendor} (simulated)",
            provider=vendor,
            base_url=f"{simulator_url}/{vendor}{urlsplit(VENDORS[vendor].base_url).path}",
            secret=f"sim-{vendor}-key",
            allow_private=True,
        )
        for vendor in DEMO_PROVIDERS
    ]
    configs = [
        BootstrapRoutingConfig(slug=slug, description=text, policy_json=json.dumps(policy).encode())
        for slug, (text, policy) in DEMO_CONFIGS.items()
    ]
    return Seeds(credentials, configs)


def from_keys(keys: dict[str, str]) -> Seeds:
    """A credential for each provider key found, and `@production` as a fallback chain over them."""
    credentials = [BootstrapCredential(name=vendor, provider=vendor, secret=key) for vendor, key in keys.items()]
    usual = {"openai": _MINI, "anthropic": _HAIKU, "google": _FLASH}
    models = [model for vendor, model in usual.items() if vendor in keys]
    if not models:
        return Seeds(credentials, [])
    policy: dict[str, object] = {"strategy": "fallback", "attempts": [{"model": model} for model in models]}
    if len(models) == 1:
        policy = {"strategy": "single", "model": models[0]}
    production = BootstrapRoutingConfig(
        slug="production", description="Made from the provider keys found", policy_json=json.dumps(policy).encode()
    )
    return Seeds(credentials, [production])
