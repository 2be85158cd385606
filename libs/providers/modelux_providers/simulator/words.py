"""The nouns of the simulator: what was asked, what is answered, and the response before it is written to the wire."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from modelux_providers.simulator.scenario import Dialect

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the provider does not answer: its error in dialect-free words."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, read from any dialect."""

    dialect: Dialect
    endpoint: Literal["chat", "embeddings", "models"]
    model: str
    stream: bool = False
    prompt: str = ""  # the last user turn
    text: str = ""  # every turn
    choices: int = 1
    max_tokens: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"  # auto, none, required, or a tool's name
    parallel: bool = True
    after_tool: bool = False
    schema: bytes | None = None
    json_mode: bool = False
    logprobs: int | None = None
    include_usage: bool = False
    obfuscate: bool = False
    thinking: bool = False
    inputs: tuple[str, ...] = ()
    dimensions: int = 0
    base64: bool = False
    plural: bool = False  # Gemini: a batch of embeddings, or a stream as a JSON array
    fields: frozenset[str] = frozenset()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """`input` includes the cached ones, `output` includes reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    text: str = ""
    reasoning: str = ""
    tools: tuple[ToolCall, ...] = ()
    refusal: str = ""
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in no dialect yet."""

    id: str
    model: str
    created: int
    choices: tuple[Choice, ...]
    tokens: Tokens
    vectors: tuple[tuple[float, ...], ...] = ()
    latency_ms: float = 0.0  # of a recorded answer


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream: `tokens` counts the output tokens that it carries."""

    data: bytes
    name: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """What is to be written, before framing and faults: `events` of a stream, else one `body`."""

    status: int
    tokens: Tokens
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()
    latency_ms: float = 0.0

    @property
    def stream(self) -> bool:
        return bool(self.events)


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    digest = blake2b("\x00".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
