"""Server-sent events come out whole, however they were cut and written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.sse import MAX_EVENT_BYTES, Event, EventTooLarge, Scanner

STREAM = (
    b'\xef\xbb\xbf: a comment\r\n\r\ndata: {"a": "\xe2\x82\xac"}\n\nevent: error\ndata:no space\n\r\n'
    b"id: 7\rdata: one\rdata: two\r\rdata: \n\nretry: 5\n\n\n\ndata: [DONE]\n\ndata: half"
)
EVENTS = [
    (b'{"a": "\xe2\x82\xac"}', b""),
    (b"no space", b"error"),
    (b"one\ntwo", b""),
    (b"", b""),
    (b"[DONE]", b""),
]


def events_of(parts: list[bytes]) -> list[tuple[bytes, bytes]]:
    scanner = Scanner()
    return [(event.data, event.name) for part in parts for event in scanner.feed(part)]


def test_reads_what_the_specification_allows() -> None:
    assert events_of([STREAM]) == EVENTS


@settings(deadline=None, derandomize=True)
@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_any_split_gives_the_same_events(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[start:end] for start, end in pairwise(places)]
    assert events_of(parts) == EVENTS


def test_byte_by_byte_gives_the_same_events() -> None:
    assert events_of([STREAM[at : at + 1] for at in range(len(STREAM))]) == EVENTS


@pytest.mark.parametrize(
    ("wire", "raw"),
    [
        pytest.param(b"data: {}\n\n", b"data: {}\n\n", id="canonical keeps its bytes"),
        pytest.param(b"data:{}\n\n", b"", id="no space after the colon"),
        pytest.param(b"event: x\ndata: {}\n\n", b"", id="named"),
    ],
)
def test_only_canonical_events_carry_their_bytes(wire: bytes, raw: bytes) -> None:
    (event,) = Scanner().feed(wire)
    assert event.raw == raw


def test_what_an_ended_stream_left_over() -> None:
    scanner = Scanner()
    assert scanner.feed(b"data: {}\n\ndata: [DONE]\n") == [Event(b"{}", b"", b"data: {}\n\n")]
    left = scanner.eof()
    assert left is not None
    assert left.data == b"[DONE]"
    assert scanner.eof() is None


def test_an_endless_event_is_refused() -> None:
    scanner = Scanner()
    assert scanner.feed(b"data: " + b"x" * (MAX_EVENT_BYTES - 6)) == []
    with pytest.raises(EventTooLarge):
        scanner.feed(b"x")
