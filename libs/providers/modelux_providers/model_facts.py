"""What models can do and how strong they are: a table of name patterns, since no price list says it.

Names are matched in lower case without the path before them (`openai/gpt-4o` is `gpt-4o`). The first row that fits
counts. Quality tiers: 1 light, 2 standard, 3 strong, 4 frontier, by how their makers place them; a project that
disagrees names its models instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from routing_core.types import Capability

_Can = frozenset[Capability]
_T: _Can = frozenset(("tools", "json_schema"))
_TL: _Can = frozenset((*_T, "logprobs"))
_TR: _Can = frozenset((*_T, "reasoning"))
_TV: _Can = frozenset((*_T, "vision"))
_TVL: _Can = frozenset((*_TV, "logprobs"))
_TVR: _Can = frozenset((*_TV, "reasoning"))
_TLR: _Can = frozenset((*_TL, "reasoning"))
_TVLR: _Can = frozenset((*_TVL, "reasoning"))
_TEXT: _Can = frozenset()
_EMBED: _Can = frozenset({"embeddings"})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Quality tier, capabilities, and the longest answer in tokens where it is known."""

    tier: int
    capabilities: frozenset[Capability]
    max_output_tokens: int | None = None


UNKNOWN = ModelFacts(2, _T)
"""A model that no row describes: a chat model that takes tools and JSON schemas, as nearly all do today."""

_TABLE: tuple[tuple[str, ModelFacts], ...] = (
    ("*embed*", ModelFacts(2, _EMBED)),
    ("bge-*", ModelFacts(2, _EMBED)),
    # OpenAI
    ("gpt-3.5*", ModelFacts(1, _TL, 4_096)),
    ("gpt-4o-mini*", ModelFacts(2, _TVL, 16_384)),
    ("gpt-4o*", ModelFacts(3, _TVL, 16_384)),
    ("chatgpt-4o*", ModelFacts(3, _TVL, 16_384)),
    ("gpt-4.1-nano*", ModelFacts(1, _TVL, 32_768)),
    ("gpt-4.1-mini*", ModelFacts(2, _TVL, 32_768)),
    ("gpt-4.1*", ModelFacts(3, _TVL, 32_768)),
    ("gpt-4-turbo*", ModelFacts(3, _TVL, 4_096)),
    ("gpt-4-vision*", ModelFacts(3, _TVL, 4_096)),
    ("gpt-4.5*", ModelFacts(4, _TVL, 16_384)),
    ("gpt-4*", ModelFacts(3, _TL, 8_192)),
    ("gpt-[5-9]*-nano*", ModelFacts(1, _TVR, 128_000)),
    ("gpt-[5-9]*-mini*", ModelFacts(3, _TVR, 128_000)),
    ("gpt-[5-9]*-luna*", ModelFacts(2, _TVR, 128_000)),
    ("gpt-[5-9]*-terra*", ModelFacts(3, _TVR, 128_000)),
    ("gpt-[5-9]*", ModelFacts(4, _TVR, 128_000)),
    ("gpt-oss-20b*", ModelFacts(1, _TR)),
    ("gpt-oss*", ModelFacts(2, _TR)),
    ("o1-mini*", ModelFacts(3, frozenset({"reasoning"}), 65_536)),
    ("o3-mini*", ModelFacts(3, _TR, 100_000)),
    ("o4-mini*", ModelFacts(3, _TVR, 100_000)),
    ("o[1-9]*", ModelFacts(4, _TVR, 100_000)),
    # Anthropic
    ("claude-3-haiku*", ModelFacts(1, _TV, 4_096)),
    ("claude-3[-.]5-haiku*", ModelFacts(2, _TV, 8_192)),
    ("claude-3[-.]5-sonnet*", ModelFacts(3, _TV, 8_192)),
    ("claude-3[-.]7-sonnet*", ModelFacts(3, _TVR, 64_000)),
    ("claude-3-*", ModelFacts(3, _TV, 4_096)),
    ("claude-[12v]*", ModelFacts(1, _TEXT, 4_096)),
    ("claude-instant*", ModelFacts(1, _TEXT, 4_096)),
    ("claude-opus-4-[01]*", ModelFacts(4, _TVR, 32_000)),
    ("claude-opus-4", ModelFacts(4, _TVR, 32_000)),
    ("claude-opus-4-2025*", ModelFacts(4, _TVR, 32_000)),
    ("claude-*haiku*", ModelFacts(2, _TVR, 64_000)),
    ("claude-*sonnet*", ModelFacts(3, _TVR, 64_000)),
    ("claude-*", ModelFacts(4, _TVR, 64_000)),
    # Google
    ("gemini-1.*-flash*", ModelFacts(1, _TV, 8_192)),
    ("gemini-1.*", ModelFacts(3, _TV, 8_192)),
    ("gemini-2.0-flash-lite*", ModelFacts(1, _TV, 8_192)),
    ("gemini-2.0*", ModelFacts(2, _TV, 8_192)),
    ("gemini-*flash-lite*", ModelFacts(1, _TVR, 65_536)),
    ("gemini-*flash*", ModelFacts(2, _TVR, 65_536)),
    ("gemini-*", ModelFacts(4, _TVR, 65_536)),
    ("gemma-3*", ModelFacts(1, _TV)),
    ("gemma*", ModelFacts(1, frozenset({"json_schema"}))),
    # xAI
    ("grok-2-vision*", ModelFacts(3, _TVL)),
    ("grok-2*", ModelFacts(3, _TL)),
    ("grok-3-mini*", ModelFacts(2, _TLR)),
    ("grok-3*", ModelFacts(3, _TL)),
    ("grok-code*", ModelFacts(2, _TLR)),
    ("grok-4*-fast-non-reasoning*", ModelFacts(2, _TVL)),
    ("grok-4*-fast*", ModelFacts(2, _TVLR)),
    ("grok-*", ModelFacts(4, _TVLR)),
    # Mistral
    ("ministral*", ModelFacts(1, _T)),
    ("*mistral-7b*", ModelFacts(1, _T)),
    ("mistral-tiny*", ModelFacts(1, _T)),
    ("*mixtral*", ModelFacts(2, _T)),
    ("mistral-large*", ModelFacts(3, _T)),
    ("mistral-medium*", ModelFacts(3, _TV)),
    ("mistral-small*", ModelFacts(2, _TV)),
    ("magistral*", ModelFacts(3, _TR)),
    ("pixtral*", ModelFacts(2, _TV)),
    ("codestral*", ModelFacts(2, _T)),
    ("devstral*", ModelFacts(2, _T)),
    # DeepSeek
    ("deepseek-r1-distill*", ModelFacts(2, _TR)),
    ("deepseek-r1*", ModelFacts(4, _TLR)),
    ("deepseek-reasoner*", ModelFacts(4, _TLR)),
    ("deepseek-*flash*", ModelFacts(2, _TLR)),
    ("deepseek-v[4-9]*", ModelFacts(4, _TLR)),
    ("deepseek-*", ModelFacts(3, _TL)),
    # open weights
    ("*llama*4-*", ModelFacts(2, _TV)),
    ("*llama*405b*", ModelFacts(3, _T)),
    ("*llama*vision*", ModelFacts(1, _TV)),
    ("*llama*-[1-9]b*", ModelFacts(1, _T)),
    ("*llama3-8b*", ModelFacts(1, _T)),
    ("*llama-guard*", ModelFacts(1, _TEXT)),
    ("llava*", ModelFacts(1, frozenset({"vision"}))),
    ("*qwen*vl*", ModelFacts(2, _TV)),
    ("qwq*", ModelFacts(3, _TR)),
    ("*qwen*235b*", ModelFacts(3, _TR)),
    ("*qwen*max*", ModelFacts(4, _TR)),
    ("kimi-k[2-9]*", ModelFacts(3, _TR)),
    ("glm-[4-9]*", ModelFacts(3, _TR)),
    ("phi-*", ModelFacts(1, _T)),
)

_OTHER_KINDS = (
    *("tts", "whisper", "transcribe", "realtime", "audio", "image", "moderation", "ocr", "voxtral", "voice", "orpheus"),
    *("-live", "gpt-live", "robotics", "computer-use", "banana", "omni-", "guard", "safeguard", "deep-research", "veo"),
    *("davinci", "babbage", "curie", "ft:", ".ft-", "turbo-instruct", "transcribe", ":batch", "lyria", "imagen"),
)
"""Parts of names of models that do not answer chat or embeddings requests as such."""


_RETIRED = (
    *("claude-v1", "claude-[12]*", "claude-instant*", "claude-3-sonnet*", "claude-3-opus*", "claude-3[-.][57]-*"),
    *("gpt-3.5-0301", "gpt-3.5-turbo-0613", "gpt-4-vision*", "gpt-4-32k*", "gpt-4.5*", "o1-preview*", "o1-mini*"),
    *("gemini-1.*", "gemini-pro*", "gemini-flash-1.5*", "gemini-2.5-flash-preview", "grok-2*", "mistral-tiny*"),
    *("mistral-medium-2312", "llama2-*", "llama3-*", "llama-3.1-70b-versatile", "llama-3.1-405b-reasoning"),
    *("llama-3.2-*-preview", "*-specdec", "mixtral-8x7b-32768", "gemma-7b-it", "gemma2-9b-it", "mistral-saba-24b"),
)
"""Models that price lists still hold, though their makers have shut them down. They are not offered unasked."""


@lru_cache(maxsize=4096)
def facts_of(model: str) -> ModelFacts:
    """Facts of a model by its name at a provider; `UNKNOWN` where no row fits."""
    name = bare(model)
    for pattern, facts in _TABLE:
        if fnmatchcase(name, pattern):
            return facts
    return UNKNOWN


@lru_cache(maxsize=4096)
def answers(model: str) -> bool:
    """Whether the model takes chat or embeddings requests, as far as its name tells."""
    name = bare(model)
    return name != "ada" and not any(part in name for part in _OTHER_KINDS)


@lru_cache(maxsize=4096)
def retired(model: str) -> bool:
    """Whether the model is known to be gone. Whoever names it may still try."""
    name = bare(model)
    return any(fnmatchcase(name, pattern) for pattern in _RETIRED)


def bare(model: str) -> str:
    """The name in lower case, without the path before it."""
    return model.rpartition("/")[2].lower()
