"""OpenAI embeddings over Gemini's embedContent and batchEmbedContents."""

from __future__ import annotations

import base64
import struct

import msgspec

from modelux_providers.dialects import chat, fault
from modelux_providers.dialects.base import Complete, EmbeddingsCall, ProviderError, WireRequest, path_for
from modelux_providers.dialects.chat import Refused
from modelux_providers.dialects.google_answer import UsageMetadata
from modelux_providers.dialects.google_request import HEADERS
from modelux_providers.dialects.lenient import decode, readable
from routing_core.types import Usage

_HANDLED = frozenset({"input", "dimensions", "encoding_format"})
_BYTES_PER_TOKEN = 4
_encode = msgspec.json.Encoder().encode


class _Request(msgspec.Struct):
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: str | None = None


class _Vector(msgspec.Struct):
    values: msgspec.Raw


class _Response(msgspec.Struct, rename="camel"):
    embedding: _Vector | None = None
    embeddings: list[_Vector] | None = None
    usage_metadata: UsageMetadata | None = None


def build(call: EmbeddingsCall) -> WireRequest:
    """The wire request: one text is embedContent, several are one batch. Raises Refused for tokens, which Gemini
    does not take.
    """
    request = _read(call.body)
    model = call.model if "/" in call.model else f"models/{call.model}"
    size: dict[str, object] = {} if request.dimensions is None else {"outputDimensionality": request.dimensions}
    asked: list[dict[str, object]] = []
    for text in _texts(request):
        one: dict[str, object] = {"model": model, "content": {"parts": [{"text": text}]}}
        asked.append(one | size)
    method = ":embedContent" if isinstance(request.input, str) else ":batchEmbedContents"
    body: object = asked[0] if isinstance(request.input, str) else {"requests": asked}
    path = path_for(call.vendor.embeddings_path or "", "/models/{model}", call.model) + method
    members = msgspec.json.decode(readable(call.body) or b"{}", type=chat.Members)
    dropped = chat.unknown(members, _HANDLED) + (("user",) if "user" in members else ())
    return WireRequest(path, HEADERS, _encode(body), dropped)


def response(call: EmbeddingsCall, body: bytes) -> Complete | ProviderError:
    """Gemini's vectors in OpenAI's shape and in the encoding that was asked for, in the order of the inputs."""
    answer = decode(body, _Response)
    vectors = None if answer is None else [answer.embedding] if answer.embedding is not None else answer.embeddings
    if answer is None or vectors is None:
        return fault.invalid("The provider's answer holds no embeddings.")
    request = _read(call.body)
    as_base64 = request.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(vector.values) if as_base64 else vector.values}
        for place, vector in enumerate(vectors)
    ]
    counted = answer.usage_metadata.usage() if answer.usage_metadata is not None else None
    if counted is None:  # OpenAI's shape cannot go without usage.
        bytes_in = sum(len(text.encode()) for text in _texts(request))
        counted = Usage(input=-(-bytes_in // _BYTES_PER_TOKEN), estimated=True)
    written = {"object": "list", "data": data, "model": call.model}
    return Complete(
        _encode(written | {"usage": {"prompt_tokens": counted.input, "total_tokens": counted.input}}), counted
    )


def _read(body: bytes) -> _Request:
    request = decode(body, _Request)
    if request is None:
        raise Refused("`input` is a text or a list of texts.", "input", "invalid_type")
    return request


def _texts(request: _Request) -> list[str]:
    if isinstance(request.input, str):
        return [request.input]
    texts = [text for text in request.input if isinstance(text, str)]
    if not texts or len(texts) < len(request.input):
        raise Refused("Gemini embeds texts, not tokens.", "input", "invalid_value")
    return texts


def _base64(values: msgspec.Raw) -> str:
    numbers = msgspec.json.decode(values, type=list[float])
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode("ascii")
