"""The words of a wire dialect: what is asked, what goes on the wire, and what comes back in OpenAI's shape.

    request(call)            -> WireRequest to send, or a ProviderError where this provider cannot do what was asked
    response(call, body)     -> Complete answer, or a ProviderError where a 200 turns out not to be one
    stream(call)             -> StreamParser: bytes in, StreamEvents out
    error(status, headers, body) -> ProviderError

Everything here is pure: no clock, no network, no state beyond one parser per stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias
from urllib.parse import quote

import msgspec

from modelux_contracts.errors import envelope
from modelux_providers.dialects.answer import answer_of
from routing_core.records import record
from routing_core.types import Answer, OutcomeKind, Usage

DialectName = Literal["openai", "anthropic", "google"]
AuthStyle = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "none"]
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """How one vendor is spoken to. Paths follow the credential's base URL and may hold `{model}`."""

    name: str
    dialect: DialectName = "openai"
    auth: AuthStyle = "bearer"
    chat_path: str = ""
    """Empty: the dialect's own (`/chat/completions`, `/messages`, `/models/{model}`, to which Google's methods are
    added).
    """
    embeddings_path: str | None = ""
    """Empty: the dialect's own. None: the vendor has no embeddings."""
    supports_stream_options: bool = True
    """False: the vendor rejects `stream_options`; usage of its streams has to be counted here when it sends none by
    itself."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    """Which field carries a limit on output tokens that we add where the caller gave none (a caller's own field
    keeps its name)."""


@record
class ChatCall:
    """One chat completion to ask of one model. `body` is the caller's JSON object, bytes as received."""

    body: bytes
    model: str
    """The model's name at the provider; takes the place of the caller's `model`."""
    vendor: VendorFacts
    stream: bool = False
    """How to ask upstream; may differ from the body's `stream` (an ensemble buffers)."""
    wants_usage: bool = False
    """The caller asked for `stream_options.include_usage`."""
    max_tokens: int | None = None
    """A limit on output tokens that replaces the caller's, or is added. None: the body's stands."""
    max_output_tokens: int | None = None
    """What the model can emit at most; the default where the provider demands a limit and the caller gave none."""
    created_s: int = 0
    """Seconds since the epoch, for `created` in answers that the provider does not date."""
    request_id: str = ""
    """Our id of the call; names answers that the provider does not name."""
    logprobs: bool = False
    """Ask for token probabilities, which the policy weighs, where the caller did not."""


@record
class EmbeddingsCall:
    """One embeddings request, as ChatCall."""

    body: bytes
    model: str
    vendor: VendorFacts
    request_id: str = ""


Call: TypeAlias = ChatCall | EmbeddingsCall


class WireRequest(msgspec.Struct, frozen=True):
    """What to POST: `path` (with query) after the base URL, headers without authentication, body."""

    path: str
    headers: Headers
    body: bytes
    dropped: tuple[str, ...] = ()
    """Fields of the caller's body that this provider does not know and that were left out: the caller is told in a
    header."""
    emulated: tuple[str, ...] = ()
    """Fields that were carried out by other means (`response_format` by a forced tool): the caller is told likewise."""


@dataclass(frozen=True, slots=True)
class ProviderError:
    """A failure in OpenAI's terms. `status` is what the caller may be shown (529 is 503 here); `message` is free of
    HTML and secrets."""

    status: int
    message: str
    type: str = "api_error"
    code: str | None = None
    param: str | None = None
    retry_after_ms: int | None = None
    kind: OutcomeKind = "status"
    """`status`: the provider said so; `invalid`: what it sent is no answer; `cut`: the stream ended before its end."""
    innererror: bytes = b""
    """Azure's details of a content filter (raw JSON), kept beside the four keys."""

    def envelope(self) -> bytes:
        """The OpenAI error body."""
        body = envelope(self.message, type=self.type, code=self.code, param=self.param)
        if not self.innererror:
            return body
        return body[:-2] + b',"innererror":' + self.innererror + b"}}"


class Complete(msgspec.Struct, frozen=True, gc=False):
    """A whole answer: `body` in OpenAI's shape (the provider's own bytes where it speaks OpenAI)."""

    body: bytes
    usage: Usage | None
    """None: the provider reported none that can be believed; the caller estimates."""
    response_id: str | None = None

    @property
    def answer(self) -> Answer:
        """What policies weigh; read out of `body` at each call."""
        return answer_of(self.body)


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Bytes ready to write to the caller: one whole `data: …\\n\\n` event."""

    data: bytes
    has_content: bool
    """True where it carries output (text, reasoning, refusal, a tool call): the commit point. A role or a finish
    alone is not."""


class UsageSeen(msgspec.Struct, frozen=True, gc=False):
    """The usage so far; each one replaces the last."""

    usage: Usage


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The stream failed; nothing follows."""

    error: ProviderError


class Done(msgspec.Struct, frozen=True, gc=False):
    """The stream is complete; nothing follows. The caller writes `data: [DONE]\\n\\n`."""


StreamEvent: TypeAlias = Chunk | UsageSeen | Failed | Done


class StreamParser(Protocol):
    """Reads one stream. However the bytes are split, the events are the same; exactly one `Done` or `Failed` comes,
    last."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by these bytes."""
        ...

    def eof(self) -> list[StreamEvent]:
        """The connection ended: `Done` if the answer had come to its end, else `Failed` with kind `cut`; nothing if
        one came already."""
        ...

    def usage_chunk(self, usage: Usage) -> bytes:
        """The final usage chunk (`choices: []`), for a caller that asked where the provider sent no usage: to be
        written before [DONE]."""
        ...


class Dialect(Protocol):
    """One wire format. Stateless."""

    def request(self, call: Call) -> WireRequest | ProviderError: ...

    def response(self, call: Call, body: bytes) -> Complete | ProviderError: ...

    def stream(self, call: ChatCall) -> StreamParser: ...

    def error(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
        """Reads a non-2xx answer. `headers` have lower-case names."""
        ...


def path_for(path: str, default: str, model: str) -> str:
    """A path with the model filled in, whatever its name holds."""
    path = path or default
    return path.replace("{model}", quote(model, safe="")) if "{" in path else path


def auth_headers(style: AuthStyle, secret: str) -> Headers:
    """The headers that carry a credential. Keys never go into a URL."""
    match style:
        case "bearer":
            return ((b"authorization", b"Bearer " + secret.encode()),)
        case "none":
            return ()
        case _:
            return ((style.encode(), secret.encode()),)
