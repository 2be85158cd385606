"""The providers that can be reached, one row each: address, dialect, authentication, and where their prices are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelux_providers.dialects.base import VendorFacts


@dataclass(frozen=True, slots=True)
class Vendor:
    """One provider. A credential names it, and may set another base URL."""

    name: str
    title: str
    base_url: str
    """Where its API begins, with the version. Empty: each installation has its own, so the credential must name it."""
    facts: VendorFacts
    keys: tuple[str, ...] = ()
    """Environment variables that usually hold a key; where several are set, the last wins."""
    prices: tuple[str, ...] = ()
    """Ids of its price lists in the seed table, searched in this order. None: prices are the operator's to set."""
    not_served: tuple[str, ...] = ()
    """Beginnings of names in its price list that its endpoints for chat and embeddings do not serve."""
    local: bool = False
    """Runs in a private network, so that a credential needs `allow_private`."""
    own_models: bool = False
    """Which models there are differs between installations: a credential must list them."""
    needs_key: bool = True


def _row(name: str, title: str, base_url: str, *keys: str, facts: VendorFacts | None = None) -> Vendor:
    """A hosted provider with a price list of the same name."""
    return Vendor(name, title, base_url, facts or VendorFacts(name), keys, (name,))


_AZURE = VendorFacts(
    "azure",
    auth="api-key",
    chat_path="/openai/deployments/{model}/chat/completions?api-version=2024-10-21",
    embeddings_path="/openai/deployments/{model}/embeddings?api-version=2024-10-21",
    max_tokens_field="max_completion_tokens",
)
_OPENAI = VendorFacts("openai", max_tokens_field="max_completion_tokens")
_ANTHROPIC = VendorFacts("anthropic", dialect="anthropic", auth="x-api-key", embeddings_path=None)
_GOOGLE = VendorFacts("google", dialect="google", auth="x-goog-api-key", embeddings_path="/models/{model}")
# Mistral answers 422 to fields it does not know, and sends the usage of streams by itself
_MISTRAL = VendorFacts("mistral", supports_stream_options=False)

_VENDORS = (
    Vendor(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        _OPENAI,
        ("OPENAI_API_KEY",),
        ("openai",),
        not_served=("gpt-oss", "codex-mini", "o1-pro", "o3-pro", "gpt-5-pro", "gpt-5.2-pro"),
    ),
    _row("anthropic", "Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", facts=_ANTHROPIC),
    Vendor(
        "google",
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        _GOOGLE,
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ("google",),
        not_served=("claude",),
    ),
    Vendor(
        "azure",
        "Azure OpenAI",
        "",
        _AZURE,
        ("AZURE_OPENAI_API_KEY",),
        ("azure", "openai", "anthropic", "deepseek", "x-ai"),
        own_models=True,
    ),
    _row("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", facts=_MISTRAL),
    _row("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    _row("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    _row("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    _row("deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    Vendor("xai", "xAI", "https://api.x.ai/v1", VendorFacts("xai"), ("XAI_API_KEY",), ("x-ai",)),
    _row("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    Vendor(
        "ollama",
        "Ollama",
        "http://127.0.0.1:11434/v1",
        VendorFacts("ollama"),
        local=True,
        own_models=True,
        needs_key=False,
    ),
    Vendor(
        "vllm", "vLLM", "http://127.0.0.1:8000/v1", VendorFacts("vllm"), local=True, own_models=True, needs_key=False
    ),
    Vendor("openai_compatible", "OpenAI-compatible", "", VendorFacts("openai_compatible"), own_models=True),
    Vendor(
        "simulator",
        "Modelux simulator",
        "",
        VendorFacts("simulator"),
        prices=("openai", "anthropic", "google"),
        local=True,
        own_models=True,
        needs_key=False,
    ),
)

VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in _VENDORS}
"""Providers by the name that credentials and `model:provider` use."""

ENVIRONMENT_KEYS: Mapping[str, str] = {key: each.name for each in _VENDORS if each.base_url for key in each.keys}
"""Environment variables that hold keys of providers with a known address, with the provider's name."""
