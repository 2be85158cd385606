"""The dialects by name."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_providers.dialects.anthropic import Anthropic
from modelux_providers.dialects.base import Dialect, DialectName
from modelux_providers.dialects.google import Google
from modelux_providers.dialects.openai import OpenAI

DIALECTS: Mapping[DialectName, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic(), "google": Google()}
