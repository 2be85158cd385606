"""Write events as server-sent events, tidily or in every untidy way that the format and real providers know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelux_providers.simulator.scenario import Behaviour, Dialect
from modelux_providers.simulator.words import Event

_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that belong together: an event, or a part of a body, with the output tokens and events inside."""

    data: bytes
    tokens: int = 0
    events: int = 1


def written(events: tuple[Event, ...], behaviour: Behaviour, dialect: Dialect, error: bytes) -> list[Piece]:
    """Return the stream's bytes, one piece per event; `error` is the dialect's error body for `error_after`."""
    told = list(_told(events, behaviour, dialect, error))
    made = [Piece(_event(event, number, behaviour), event.tokens) for number, event in enumerate(told)]
    if behaviour.bom and made:
        made[0] = Piece(_BOM + made[0].data, made[0].tokens)
    return made


def comment(text: bytes, behaviour: Behaviour) -> bytes:
    end = _ENDS[behaviour.line_end]
    return b": " + text + end + end


def _told(events: tuple[Event, ...], behaviour: Behaviour, dialect: Dialect, error: bytes) -> Iterator[Event]:
    """The events with what is wrong among them."""
    for number, event in enumerate(events):
        if number == behaviour.error_after:
            break
        if number == behaviour.bad_json_after:
            yield Event(b'{"choices":[{"index":0,"delta":{"content":')
        if number == 1 and behaviour.huge_line_bytes:
            yield Event(
                _huge(behaviour.huge_line_bytes, dialect), "content_block_delta" if dialect == "anthropic" else ""
            )
        yield event
    if behaviour.error_after >= 0:
        yield Event(error, "error" if dialect == "anthropic" else "")


def _huge(size: int, dialect: Dialect) -> bytes:
    filler = b"x" * size
    if dialect == "anthropic":
        return b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"' + filler + b'"}}'
    if dialect == "google":
        return b'{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"' + filler + b'"}]}}]}'
    return b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"' + filler + b'"}}]}'


def _event(event: Event, number: int, behaviour: Behaviour) -> bytes:
    end = _ENDS[behaviour.line_end]
    lines: list[bytes] = []
    if behaviour.comments:
        lines += [b": ping %d" % number, b""]
    if event.name:
        lines.append(b"event: " + event.name.encode())
    elif behaviour.event_lines:
        lines += [b"event: message", b"id: %d" % number, b"retry: 3000"]
    label = b"data:" if behaviour.no_space else b"data: "
    data = event.data.replace(b"{", b"{\n", 1) if behaviour.multiline else event.data
    lines += [label + line for line in data.split(b"\n")]
    written = end.join(lines)
    return written if behaviour.unterminated else written + end + end
