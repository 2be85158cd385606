"""Tell of a request what the bound of its cost depends on: its parts, its tools, how many answers it asks for."""

from __future__ import annotations

from modelux_calling.openai_schema import searches, thinking_tokens
from modelux_calling.openai_shapes import ChatBody, EmbeddingsBody
from routing_core import bounds
from routing_core.bounds import Parts, Size
from routing_core.records import record
from routing_core.world import Offer

_SEARCHES = 10
"""How often a provider's own search tool may be used in one call: the default of Anthropic and xAI, and more than
OpenAI's one."""


@record
class Measured:
    """A request's size, before a provider is chosen."""

    body_bytes: int
    parts: Parts = bounds.TEXT
    tools: bool = False
    answers: int = 1
    thinking_tokens: int = 0
    audio: bool = False
    web_searches: int = 0

    def at(self, provider: str, offer: Offer | None) -> Size:
        """The size as the provider of an offer may count it."""
        window = offer.context_tokens if offer is not None else None
        tokens = bounds.input_tokens(self.body_bytes, provider, self.parts, tools=self.tools, context_tokens=window)
        pictures = self.parts.images > 0 or self.parts.opaque
        return Size(tokens, self.answers, self.thinking_tokens, self.audio, pictures, self.web_searches)


def measure(body: ChatBody | EmbeddingsBody, raw: bytes, *, text: bool = False) -> Measured:
    """The size of a request; `raw` is its body as received, and `text` is true where that is known to be about text
    alone (`openai_schema.read_chat`): else the bytes are searched for all that may cost more.
    """
    if isinstance(body, EmbeddingsBody):
        return Measured(len(raw))
    if text:
        return Measured(len(raw), answers=body.n or 1)
    searching = searches(raw)
    if body.tools and not searching:
        searching = any(tool.type not in ("function", "custom") for tool in body.tools)
    parts = _parts(body, opaque=searching)
    return Measured(
        len(raw),
        parts,
        bool(body.tools or body.functions or body.response_format),
        body.n or 1,
        thinking_tokens(raw),
        parts.audio or _may_sound(raw),
        _SEARCHES if searching else 0,
    )


def _may_sound(raw: bytes) -> bool:
    """A body without these words, also not in escapes, neither holds sound nor asks for it."""
    return b"audio" in raw or b"modalit" in raw or b"\\u00" in raw


def _parts(body: ChatBody, *, opaque: bool) -> Parts:
    images, data, audio = 0, 0, False
    for message in body.messages:
        content = message.content
        if type(content) is not list:
            continue
        for part in content:
            if part.type == "image_url" and part.image_url is not None:
                images += 1
                url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
                data += len(url) if url.startswith("data:") else 0
            elif part.type == "input_audio":
                audio = True
            elif part.type in ("file", "video_url"):
                opaque = True
    return Parts(images, data, audio, opaque) if images or audio or opaque else bounds.TEXT
