"""Write a `RequestCompleted` straight to its bytes: the message is written once per request and read elsewhere.

The wire format is protobuf's (https://protobuf.dev/programming-guides/encoding); the fields are those of
`proto/modelux/events/v1/request.proto`, and the test reads every one of them back with the generated class. Building
the generated class and serialising it costs four times as much, which would be an eighth of the whole request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import get_args

from modelux_calling.loops import Repeats
from routing_core.records import record
from routing_core.types import Outcome, OutcomeKind, Target, Usage, UsageExtras


@record
class Made:
    """What an attempt's record tells beside its outcome. `charged_nano`: 0 where it is the cost."""

    number: int
    started_us: int
    price_version: str
    price_unknown: bool
    charged_nano: int


_MINUS_ONE = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
_TABLE = 1 << 14
"""One step of two bytes: seven bits each."""


def _slow_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [_slow_varint(value) for value in range(_TABLE)]
_LOW = [bytes((value & 127 | 128, value >> 7 | 128)) for value in range(_TABLE)]
"""The lowest 14 bits of a larger number."""


def varint(value: int) -> bytes:
    """A 64-bit integer; negative ones as two's complement."""
    if 0 <= value < _TABLE:
        return _SMALL[value]
    if value == -1:
        return _MINUS_ONE
    if 0 <= value < 1 << 28:
        return _LOW[value & 16383] + _SMALL[value >> 14]
    return _slow_varint(value & 0xFFFFFFFFFFFFFFFF)


def field(tag: bytes, data: bytes) -> bytes:
    """A length-delimited field; nothing where it is empty, as proto3 has it."""
    if not data:
        return b""
    return tag + varint(len(data)) + data


def text(tag: bytes, value: str) -> bytes:
    """A string field. Half a surrogate pair, which UTF-8 has no bytes for, becomes a question mark."""
    return field(tag, value.encode("utf-8", "replace"))


def tag(number: int, kind: int = 2) -> bytes:
    """Field number and wire type: 0 varint, 2 length-delimited."""
    return _slow_varint(number << 3 | kind)


_T = [b"", *(tag(number) for number in range(1, 40))]
_V = [b"", *(tag(number, 0) for number in range(1, 40))]


_KINDS: Mapping[str, bytes] = {kind: text(_T[5], kind) for kind in get_args(OutcomeKind)}
_ENDS: Mapping[str, bytes] = {end: text(_T[11], end) for end in ("ok", "error", "cancelled", "unknown")}


def constant(
    organization_id: str,
    project_id: str,
    key_id: str,
    endpoint: str,
    model: str,
    slug: str,
    version: int,
    stream: bool,
    full: bool,
    price_version: str,
) -> bytes:
    """The fields that are the same for all requests of one key for one model."""
    return b"".join(
        (
            text(_T[2], organization_id),
            text(_T[3], project_id),
            text(_T[4], key_id),
            text(_T[6], endpoint),
            text(_T[7], model),
            text(_T[8], slug),
            _V[9] + varint(version) if version else b"",
            _V[17] + b"\x01" if stream else b"",
            text(_T[29], "full" if full else "metadata_only"),
            text(_T[31], price_version),
        )
    )


def measured(
    request_id: str,
    started_at_us: int,
    outcome: str,
    status: int,
    cost_nano: int,
    latency_us: int,
    ttft_us: int,
    overhead_us: int,
) -> bytes:
    """The fields that every request has of its own."""
    return b"".join(
        (
            b"\n\x1e",
            request_id.encode(),
            _V[5],
            _epoch(started_at_us),
            _ENDS[outcome],
            _V[12],
            varint(status),
            _V[21],
            varint(cost_nano),
            _V[22],
            varint(latency_us),
            _V[23],
            varint(ttft_us),
            _V[24],
            varint(overhead_us),
        )
    )


def optional(
    policy_type: str, error_code: str, end_user_id: str, response_id: str, tags: Mapping[str, str], body_shed: bool
) -> bytes:
    """The fields that many requests lack."""
    out = text(_T[10], policy_type) if policy_type else b""
    if error_code:
        out += text(_T[13], error_code)
    if end_user_id:
        out += text(_T[19], end_user_id)
    if response_id:
        out += text(_T[32], response_id)
    for name, value in tags.items():
        entry = text(_T[1], name) + text(_T[2], value)
        out += _T[18] + varint(len(entry)) + entry
    if body_shed:
        out += _V[30] + b"\x01"
    return out


def features(input_tokens: int, max_tokens: int | None, needs: Collection[str]) -> bytes:
    """What the policy knew of the request's size and needs."""
    out = _V[33] + varint(input_tokens)
    if max_tokens:
        out += _V[34] + varint(max_tokens)
    if needs:
        out += b"".join([text(_T[35], name) for name in sorted(needs)])
    return out


def served_by(target: Target, usage: bytes) -> bytes:
    """Model, provider, credential and usage of the answer."""
    return _target(target)[0] + field(_T[20], usage)


def bodies(trace_json: bytes, request_body: bytes, response_body: bytes) -> tuple[bytes, ...]:
    """The big fields, in pieces to be joined once."""
    out: tuple[bytes, ...] = ()
    for number, data in ((26, trace_json), (27, request_body), (28, response_body)):
        if data:
            out += (_T[number], varint(len(data)), data)
    return out


def usage(value: Usage) -> bytes:
    """A `Usage` message."""
    out = _V[1] + varint(value.input) + _V[2] + varint(value.output)
    if value.cache_read:
        out += _V[3] + varint(value.cache_read)
    if value.cache_write:
        out += _V[4] + varint(value.cache_write)
    if value.reasoning:
        out += _V[5] + varint(value.reasoning)
    if value.estimated:
        out += _V[6] + b"\x01"
    return out if value.extras is None else out + _extras(value.extras)


def _extras(value: UsageExtras) -> bytes:
    counts = (
        value.cache_write_1h,
        value.input_audio,
        value.cache_audio_read,
        value.input_image,
        value.output_audio,
        value.output_image,
        value.web_searches,
    )
    return b"".join([_V[number] + varint(count) for number, count in enumerate(counts, 7) if count])


def charges(charged_nano: int, price_unknown: bool, repeats: Repeats | None) -> bytes:
    """What few requests have: a charge other than the cost, a cost that nobody knows, a run found looping."""
    out = _V[36] + b"\x01" if price_unknown else b""
    if charged_nano:
        out += _V[37] + varint(charged_nano)
    if repeats is not None:
        told = text(_T[1], repeats.budget_id) + text(_T[2], repeats.tag) + text(_T[3], repeats.value)
        out += field(_T[38], told + _V[4] + varint(repeats.calls))
    return out


def source(name: str) -> bytes:
    """Whose calls these are, where they are not a proxy's."""
    return text(_T[39], name)


def attempts(outcomes: Sequence[Outcome], made: Sequence[Made]) -> bytes:
    """All `AttemptRecord`s."""
    return b"".join([field(_T[25], _attempt(outcome, each)) for outcome, each in zip(outcomes, made, strict=True)])


def _attempt(outcome: Outcome, made: Made) -> bytes:
    ttft_ms = outcome.ttft_ms
    out = b"".join(
        (
            _V[1],
            varint(made.number),
            _target(outcome.target)[1],
            _KINDS[outcome.kind],
            _V[6],
            varint(outcome.status or 0),
            _V[8],
            varint(micros(outcome.latency_ms)),
            _V[9],
            _MINUS_ONE if ttft_ms is None else varint(micros(ttft_ms)),
            field(_T[10], usage(outcome.usage)),
            _V[11],
            varint(outcome.cost_nano),
            _V[12],
            varint(made.started_us),
            _version(made.price_version),
        )
    )
    if outcome.error_code:
        out += text(_T[7], outcome.error_code)
    if made.price_unknown:
        out += _V[14] + b"\x01"
    return out + _V[15] + varint(made.charged_nano) if made.charged_nano else out


@lru_cache(maxsize=4096)
def _version(name: str) -> bytes:
    return text(_T[13], name)


@lru_cache(maxsize=4096)
def _target(target: Target) -> tuple[bytes, bytes]:
    """The three fields of a target, as they stand in a request and in an attempt."""
    parts = (target.model, target.provider, target.credential_id)
    request, attempt = (
        b"".join(text(_T[number], value) for number, value in zip(numbers, parts, strict=True))
        for numbers in ((14, 15, 16), (2, 3, 4))
    )
    return request, attempt


def micros(milliseconds: float) -> int:
    """Whole microseconds: rounded, since 1.001 ms times 1000 is a little less than 1001."""
    return int(milliseconds * 1000 + 0.5)


def _epoch(value: int) -> bytes:
    """Microseconds since the epoch: eight bytes from 1987 to 4253."""
    if not 1 << 49 <= value < 1 << 56:
        return varint(value)
    return b"".join((_LOW[value & 16383], _LOW[value >> 14 & 16383], _LOW[value >> 28 & 16383], _SMALL[value >> 42]))
