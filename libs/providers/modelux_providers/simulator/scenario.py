"""Say how the simulator behaves: behaviours, the rules that choose them, and the scenario that holds both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Dialect = Literal["openai", "anthropic", "google"]


class InvalidScenario(ValueError):
    """The scenario is not one: the text names the field."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one call is answered. Every default is a healthy, immediate, faithful provider.

    All fields are plain values, so that a directive in a model name or in a prompt can set any of them.
    `*_after = N` counts events in a stream and bytes in a whole body; -1 = never, 0 = nothing after the response head.
    """

    # What is said.
    text: str = ""  # the answer; empty = a plausible text made from the prompt
    output_tokens: int = 0  # length of the made text; 0 = 16 to 96
    output_sigma: float = 0.0  # spread of a log-normal around output_tokens
    own_words: float = 1.0  # median share of a made text's words that no other model says to this prompt; below 1 each
    # answer is also another one when the same bytes come again, as of a model that is sampled
    input_tokens: int = 0  # 0 = a quarter of the prompt's bytes
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    reasoning: str = ""  # visible reasoning; empty = made when there are reasoning tokens
    tool_calls: int = (
        -1
    )  # -1 = one when tools are offered and no tool result came last; 0 = never; N = N parallel calls
    tool_order: Literal["in_order", "interleaved", "shuffled", "gapped"] = "in_order"
    arguments: str | None = None  # the tool arguments as text, valid JSON or not
    refusal: str = ""
    finish_reason: str = ""  # in the dialect's own words, known or not
    logprob: float = -0.05  # mean of the token log probabilities
    block: str = ""  # Gemini: promptFeedback.blockReason; elsewhere a content_filter finish
    served_model: str = ""  # the model named in the answer
    dimensions: int = 0  # of embeddings; 0 = as asked, or as the model has
    vendor_fields: bool = False  # unknown fields, big integers, duplicate keys
    azure: bool = False  # a first chunk without choices, content filter results, innererror
    surrogate: bool = False  # a lone surrogate escape inside the text
    invalid_utf8: bool = False  # a byte inside the text that is no UTF-8

    # When.
    headers_ms: float = 0.0
    ttft_ms: float = 0.0  # median time from the head to the first event (or to the whole answer)
    ttft_sigma: float = 0.0  # log-normal spread; 0 = fixed
    per_token_ms: float = 0.0
    per_token_sigma: float = 0.0
    keepalive_ms: float = 0.0  # SSE comments while the first token is awaited

    # Errors that the provider declares.
    status: int = 0  # 0 = 200
    error_code: str = ""
    error_type: str = ""
    error_message: str = ""
    error_param: str = ""
    retry_after: str = ""  # the header's value; Gemini: also RetryInfo, in seconds
    retry_after_ms: str = ""
    location: str = ""  # of a redirect
    body: Literal["answer", "error", "html", "text", "empty", "null", "truncated", "auto"] = "auto"
    rejects: tuple[str, ...] = ()  # request fields refused with a 400, such as stream_options
    requires: tuple[str, ...] = ()

    # The HTTP message.
    headers: tuple[tuple[str, str], ...] = ()
    leak_headers: bool = False  # cookies, a key, hop-by-hop fields
    header_bytes: int = 0  # one response header of this size
    informational: int = 0  # 1xx responses before the real one
    framing: Literal["auto", "length", "chunked", "close"] = "auto"
    length_delta: int = 0  # added to the honest Content-Length
    encoding: Literal["", "gzip", "deflate", "lying", "bomb"] = ""
    pad_bytes: int = 0  # white space behind a whole body
    split: int = 0  # bytes per write; 0 = one write per event
    join: int = 1  # events per write
    bytes_per_s: float = 0.0
    endless: bool = False
    malformed_chunk_after: int = -1
    garbage: bool = False  # bytes that are no HTTP
    close_after: bool = False  # close behind the answer without saying so
    reuse_race: bool = False  # a reused connection is closed instead of answered
    close_before: bool = False
    reset_before: bool = False
    hang_headers: bool = False
    hang_after: int = -1
    cut_after: int = -1  # FIN in the middle
    reset_after: int = -1  # RST in the middle

    # The event stream.
    line_end: Literal["lf", "crlf", "cr"] = "lf"
    comments: bool = False
    event_lines: bool = False  # event:, id: and retry: lines
    no_space: bool = False  # `data:{` instead of `data: {`
    multiline: bool = False
    bom: bool = False
    done: Literal["once", "missing", "twice", "then_more"] = "once"
    error_after: int = -1  # an error event, then the end
    bad_json_after: int = -1
    huge_line_bytes: int = 0
    unterminated: bool = False  # no line end behind any event
    usage: Literal[
        "auto",
        "missing",
        "null",
        "negative",
        "string",
        "huge",
        "nan",
        "fraction",
        "every_chunk",
        "on_finish",
        "after_done",
    ] = "auto"


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls a rule is for; an empty field matches everything."""

    model: str = ""  # a glob: gpt-4o*
    key: str = ""  # the credential itself, or its fingerprint
    path: str = ""  # a part of the path, so that one simulator can be several providers
    header: str = ""  # `name` or `name: part of the value`
    prompt: str = ""  # a part of any message's text
    dialect: Dialect | Literal[""] = ""
    stream: bool | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of time in seconds since the scenario began; no end = for ever."""

    from_s: float = 0.0
    until_s: float | None = None

    def holds(self, at_s: float) -> bool:
        return at_s >= self.from_s and (self.until_s is None or at_s < self.until_s)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give the calls that match a behaviour. Of several rules that hold, each adds its fields and the last one wins."""

    behaviour: Behaviour
    match: Match = Match()
    rate: float = 1.0  # share of the matching calls, drawn from the seed and the request
    window: Window = Window()
    skip: int = 0  # leave this many matching calls alone first
    times: int | None = None  # then apply to this many


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the simulator does. Answers depend on the seed and the request's bytes, draws also on how often it came."""

    seed: int = 1
    behaviour: Behaviour = Behaviour()
    rules: tuple[Rule, ...] = ()
    named: dict[str, Behaviour] = {}  # chosen by the header x-simulator-scenario or by a model `sim-<name>`
    refuse: tuple[Window, ...] = ()  # every new connection is reset
    accepted_keys: tuple[str, ...] = ()  # none = every key, also no key
    known_models_only: bool = False
    strict: bool = True  # refuse what the real provider would refuse
    models: tuple[str, ...] = (
        "gpt-4o",
        "gpt-4o-mini",
        "text-embedding-3-small",
        "claude-sonnet-4-5",
        "claude-haiku-4-5",
        "gemini-2.5-flash",
        "gemini-embedding-001",
    )
    created: int = 1_767_225_600  # the fixed time in answers, so that they repeat
    keep_calls: int = 100_000
    keep_bodies: bool = False


DEFAULTS = Behaviour()


def changes(behaviour: Behaviour) -> dict[str, object]:
    """The fields in which a behaviour departs from the healthy one."""
    return {
        name: value
        for name in behaviour.__struct_fields__
        if (value := getattr(behaviour, name)) != getattr(DEFAULTS, name)
    }


def merged(base: Behaviour, over: Behaviour) -> Behaviour:
    """Return `base` with the fields of `over` that are not defaults."""
    return msgspec.structs.replace(base, **changes(over))


def parse(data: bytes) -> Scenario:
    """Read a scenario from JSON.

    Raises:
        InvalidScenario: not JSON, an unknown field, or a value of the wrong kind.
    """
    try:
        return msgspec.json.decode(data, type=Scenario)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidScenario(str(error)) from error


def load(path: Path) -> Scenario:
    """Read a scenario from a JSON file; raises `InvalidScenario` or `OSError`."""
    return parse(path.read_bytes())
