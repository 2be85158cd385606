"""The shapes of OpenAI's answers, as far as they are read. Fields not named here are skipped."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Raw: TypeAlias = msgspec.Raw | msgspec.UnsetType


class Answer(msgspec.Struct, gc=False):
    choices: Raw = msgspec.UNSET
    data: Raw = msgspec.UNSET
    usage: Raw = msgspec.UNSET
    error: Raw = msgspec.UNSET
    id: object = None


class Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class OpenAIUsage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name for cached_tokens."""
    num_search_queries: int | None = None
    """Perplexity's."""


decode_answer = msgspec.json.Decoder(Answer).decode
decode_usage = msgspec.json.Decoder(OpenAIUsage).decode
