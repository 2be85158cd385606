"""Tell whether an offer can do a call at all, and what the call would cost there."""

from __future__ import annotations

from routing_core.pricing import Price, cost
from routing_core.types import Request, Usage
from routing_core.world import Offer


def unfit(offer: Offer, request: Request) -> str:
    """Why the offer cannot do the call, in words for the trace; empty where it can. Facts that are not known do not
    exclude.
    """
    embeds = "embeddings" in offer.capabilities
    if embeds != (request.endpoint == "embeddings"):
        return "an embeddings model" if embeds else "not an embeddings model"
    if not request.needs <= offer.capabilities:
        return f"lacks {', '.join(sorted(request.needs - offer.capabilities))}"
    asked = request.max_tokens or 0
    if offer.max_output_tokens is not None and asked > offer.max_output_tokens:
        return f"writes at most {offer.max_output_tokens} tokens, {asked} asked"
    needed = request.input_tokens + asked
    if offer.context_tokens is not None and needed > offer.context_tokens:
        return f"holds {offer.context_tokens} tokens of context, {needed} needed"
    return ""


def estimate(offer: Offer, price: Price, request: Request, expected_output_tokens: int) -> int:
    """Nano-USD that the call is likely to cost: its input, and `max_tokens` of output or, without that,
    `expected_output_tokens`.
    """
    if request.endpoint == "embeddings":
        return cost(price, Usage(request.input_tokens))
    output = request.max_tokens or expected_output_tokens
    return cost(price, Usage(request.input_tokens, min(output, offer.max_output_tokens or output)))
