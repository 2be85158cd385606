"""Token counts as providers report them, made believable, and written the way OpenAI writes them.

OpenAI's convention holds everywhere: `input` includes what was cached, `output` includes reasoning.
"""

from __future__ import annotations

import msgspec

from modelux_providers.dialects.lenient import decode
from modelux_providers.dialects.openai_shapes import Details, decode_usage
from routing_core.types import Usage, UsageExtras

_BELIEVABLE = 1_000_000_000
"""No call has this many tokens; a count beyond it is a broken provider's."""
_SEARCHES = 10_000
"""The same for searches."""


_NOTHING = Details()
_NO_EXTRAS = UsageExtras()


def count(value: object) -> int | None:
    """A token count, or None where it cannot be one (negative, text, a fraction, NaN, 1e30)."""
    if type(value) is float and value.is_integer() and value < _BELIEVABLE:
        value = int(value)
    if type(value) is not int or not 0 <= value < _BELIEVABLE:
        return None
    return value


def believable(
    input: int,
    output: int,
    *,
    cache_read: int = 0,
    cache_write: int = 0,
    reasoning: int = 0,
    extras: UsageExtras | None = None,
) -> Usage | None:
    """Usage with its parts no larger than their wholes; None for the 0/0 that some servers send in place of a count."""
    if not input and not output:
        return None
    if cache_read > input:
        cache_read = input
    if cache_write > input - cache_read:
        cache_write = input - cache_read
    if extras is not None:
        extras = _fitted(extras, input, output, cache_read, cache_write)
    return Usage(input, output, cache_read, cache_write, reasoning if reasoning < output else output, extras=extras)


def _fitted(told: UsageExtras, input: int, output: int, cache_read: int, cache_write: int) -> UsageExtras | None:
    """The parts within their wholes; None where there are none. Sound that the uncached input has no room for was
    cached, even where the provider does not say so.
    """
    fresh = input - cache_read - cache_write
    audio = min(told.input_audio, cache_read + fresh)
    heard = max(min(told.cache_audio_read, audio, cache_read), audio - fresh)
    sound = min(told.output_audio, output)
    fitted = UsageExtras(
        min(told.cache_write_1h, cache_write),
        audio,
        heard,
        min(told.input_image, input - audio),
        sound,
        min(told.output_image, output - sound),
        told.web_searches if told.web_searches <= _SEARCHES else 0,
    )
    return None if fitted == _NO_EXTRAS else fitted


def read(raw: bytes | msgspec.Raw) -> Usage | None:
    """OpenAI's `usage` object, or None where it is missing or cannot be believed."""
    try:
        usage = decode_usage(raw)
    except msgspec.DecodeError:
        return _read_loosely(bytes(raw))
    details = usage.prompt_tokens_details or _NOTHING
    produced = usage.completion_tokens_details or _NOTHING
    cached = details.cached_tokens or usage.prompt_cache_hit_tokens or 0
    written, reasoning = details.cache_write_tokens or 0, produced.reasoning_tokens or 0
    extras = None
    if (
        details.audio_tokens
        or details.image_tokens
        or produced.audio_tokens
        or produced.image_tokens
        or usage.num_search_queries
    ):
        extras = UsageExtras(
            input_audio=count(details.audio_tokens) or 0,
            input_image=count(details.image_tokens) or 0,
            output_audio=count(produced.audio_tokens) or 0,
            output_image=count(produced.image_tokens) or 0,
            web_searches=count(usage.num_search_queries) or 0,
        )
    produced_tokens = usage.completion_tokens or 0
    return _checked(usage.prompt_tokens, produced_tokens, usage.total_tokens, cached, written, reasoning, extras)


def _checked(
    prompt: int,
    completion: int,
    total: int | None,
    cached: int,
    written: int,
    reasoning: int,
    extras: UsageExtras | None,
) -> Usage | None:
    if not (0 <= prompt < _BELIEVABLE and 0 <= completion < _BELIEVABLE):
        return None
    if cached < 0 or written < 0 or reasoning < 0:
        cached, written, reasoning = max(cached, 0), max(written, 0), max(reasoning, 0)
    if 0 < reasoning < _BELIEVABLE and total == prompt + completion + reasoning:
        completion += reasoning  # xAI and Gemini's OpenAI endpoint count reasoning beside the completion, not in it.
    return believable(prompt, completion, cache_read=cached, cache_write=written, reasoning=reasoning, extras=extras)


def _read_loosely(raw: bytes) -> Usage | None:
    members = decode(raw, dict[str, object])
    if members is None:
        return None
    prompt, completion = count(members.get("prompt_tokens")), count(members.get("completion_tokens", 0))
    if prompt is None or completion is None:
        return None

    def detail(group: str, name: str) -> int:
        details = members.get(group)
        return (count(details.get(name)) or 0) if isinstance(details, dict) else 0

    extras = UsageExtras(
        input_audio=detail("prompt_tokens_details", "audio_tokens"),
        input_image=detail("prompt_tokens_details", "image_tokens"),
        output_audio=detail("completion_tokens_details", "audio_tokens"),
        output_image=detail("completion_tokens_details", "image_tokens"),
        web_searches=count(members.get("num_search_queries")) or 0,
    )
    return _checked(
        prompt,
        completion,
        count(members.get("total_tokens")),
        detail("prompt_tokens_details", "cached_tokens") or count(members.get("prompt_cache_hit_tokens")) or 0,
        detail("prompt_tokens_details", "cache_write_tokens"),
        detail("completion_tokens_details", "reasoning_tokens"),
        extras,
    )


def written(usage: Usage) -> dict[str, object]:
    """OpenAI's `usage` object for an answer of another provider."""
    extras = usage.extras or _NO_EXTRAS
    prompt_details: dict[str, object] = {"cached_tokens": usage.cache_read}
    completion_details: dict[str, object] = {"reasoning_tokens": usage.reasoning}
    for details, name, tokens in (
        (prompt_details, "cache_write_tokens", usage.cache_write),
        (prompt_details, "audio_tokens", extras.input_audio),
        (prompt_details, "image_tokens", extras.input_image),
        (completion_details, "audio_tokens", extras.output_audio),
        (completion_details, "image_tokens", extras.output_image),
    ):
        if tokens:
            details[name] = tokens
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": completion_details,
    }
