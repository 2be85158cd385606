"""The most that one attempt can cost, told before it is made.

Every tokeniser in use is byte-level or falls back to bytes, so a text has at most as many tokens as it has UTF-8 bytes,
and a JSON body has at least the bytes of every text in it: an escape is never shorter than what it stands for. What
providers add around a message (a few tokens for its role and ends, at most 8) is covered too, as a message in JSON
spends at least 15 bytes of its own (`{"role":"user"}`) of which one token is its role.
"""

from __future__ import annotations

from collections.abc import Mapping

from routing_core.pricing import Price, bound
from routing_core.records import record

TEMPLATE_TOKENS = 128
"""What chat templates add by themselves: dates, default system prompts."""
TOOL_TOKENS = 1024
"""What providers add where tools or a response format are given (Anthropic: up to 804 tokens, `tool use` pricing)."""
DEFAULT_OUTPUT_TOKENS = 4096
"""Sent upstream as the limit where nobody names one and the model's own is not known."""
FLOOR_TOKENS = 256
"""No limit is lowered below this: a shorter answer is seldom worth its input."""
UNKNOWN_CONTEXT_TOKENS = 2_000_000
"""No model known today takes more."""
IMAGE_TOKENS: Mapping[str, int] = {
    # https://platform.openai.com/docs/guides/images-vision: gpt-4o-mini charges 2833 + 8 tiles of 5667.
    "openai": 48_169,
    "azure": 48_169,
    # https://docs.anthropic.com/en/docs/build-with-claude/vision: at most 4784 for the newest, 1600 before.
    "anthropic": 4_784,
    # https://ai.google.dev/gemini-api/docs/tokens: 258 a tile, at most 25 tiles after scaling to 3072 x 3072.
    "google": 6_450,
}
"""The most that one picture can come to, whatever its size."""


@record
class Parts:
    """What of a request's content is not text."""

    images: int = 0
    data_bytes: int = 0
    """Bytes of the pictures that are in the body itself; they are charged by the picture, not by the byte."""
    audio: bool = False
    """Sound in the body: far fewer tokens than bytes."""
    opaque: bool = False
    """Files and videos, which may come to anything that fits in the context window."""


TEXT = Parts()


@record
class Size:
    """The bounds of one attempt, in tokens, and what their prices depend on."""

    input_tokens: int
    answers: int = 1
    """How many are asked for (`n`)."""
    thinking_tokens: int = 0
    """A thinking budget on top of the limit."""
    audio: bool = False
    images: bool = False
    web_searches: int = 0

    def cost(self, price: Price, max_tokens: int) -> int:
        """The most it can cost with that limit on output tokens, in nano-USD."""
        output = self.answers * (max_tokens + self.thinking_tokens) if max_tokens else 0
        return bound(
            price,
            self.input_tokens,
            output,
            web_searches=self.web_searches,
            audio=self.audio,
            images=self.images,
        )

    def affordable(self, price: Price, left_nano: int, max_tokens: int, floor: int) -> int | None:
        """The largest limit, at most `max_tokens`, whose worst case is not above `left_nano`; None: below `floor`."""
        low, high = min(floor, max_tokens), max_tokens
        if self.cost(price, low) > left_nano:
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if self.cost(price, middle) <= left_nano:
                low = middle
            else:
                high = middle - 1
        return low


def input_tokens(
    body_bytes: int, provider: str, parts: Parts = TEXT, *, tools: bool = False, context_tokens: int | None = None
) -> int:
    """The most input tokens that a provider can count for a body of this length."""
    tokens = body_bytes + TEMPLATE_TOKENS + (TOOL_TOKENS if tools else 0)
    if not (parts.images or parts.opaque):
        return tokens
    window = context_tokens or UNKNOWN_CONTEXT_TOKENS
    each = IMAGE_TOKENS.get(provider)
    if parts.opaque or (parts.images and each is None):
        return max(tokens - parts.data_bytes, window)
    return tokens - parts.data_bytes + parts.images * (each or 0)


def output_limit(
    asked: int | None, default: int, model_max: int | None, context_tokens: int | None, estimated_input: int
) -> int:
    """The limit on output tokens to send upstream: the caller's, else the project's default, else the model's own.

    A limit of ours leaves room for the input in the context window, as providers refuse a call that does not.
    """
    if asked:
        return asked
    limit = model_max or DEFAULT_OUTPUT_TOKENS
    if default:
        limit = min(default, model_max or default)
    if context_tokens:
        limit = min(limit, max(context_tokens - estimated_input * 5 // 4 - TEMPLATE_TOKENS, FLOOR_TOKENS))
    return limit
