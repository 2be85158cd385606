"""When a stream has certainly gone beyond its limit, and when it only looks like it."""

from __future__ import annotations

import json

import pytest

from modelux_providers.charge import Watch
from modelux_providers.dialects.base import Chunk
from routing_core.types import Usage

WORDS = ["abcdefghijklm"[: 1 + number * 7 % 13] + " " for number in range(400)]
LETTERS = list("the quick brown fox jumps over the lazy dog and goes on and on for ever " * 6)
ESCAPED = [json.dumps(letter)[1:-1] for letter in 'Straße: "Žluťoučký kůň"\n😀 ' * 20]
IDEOGRAMS = list("在一个遥远的地方有一座山山上有一座庙 庙里有个老和尚, 在讲故事。" * 12)


def chunks(pieces: list[str]) -> list[Chunk]:
    return [Chunk(b'{"choices":[{"index":0,"delta":{"content":"%b"}}]}' % piece.encode(), True) for piece in pieces]


def cut_at(watch: Watch, pieces: list[str]) -> int | None:
    """After how many pieces the stream was found to be beyond; None: it never was."""
    for number, chunk in enumerate(chunks(pieces), 1):
        if watch.beyond([chunk], None):
            return number
    return None


@pytest.mark.parametrize("most", [1, 5, 20, 256])
def test_more_words_than_tokens_are_beyond(most: int) -> None:
    at = cut_at(Watch(most), WORDS)
    assert at is not None
    assert most < at <= most + 10


@pytest.mark.parametrize(
    "pieces",
    [pytest.param(LETTERS, id="letters"), pytest.param(ESCAPED, id="escapes"), pytest.param(IDEOGRAMS, id="ideograms")],
)
def test_single_characters_within_the_limit_are_not(pieces: list[str]) -> None:
    assert cut_at(Watch(len(pieces) // 4), pieces) is None


def test_as_many_pieces_as_tokens_are_within() -> None:
    assert cut_at(Watch(len(WORDS)), WORDS) is None


@pytest.mark.parametrize(("told", "beyond"), [(100, False), (101, True)])
def test_a_provider_that_says_so_itself_is_believed(told: int, beyond: bool) -> None:
    assert Watch(100).beyond(chunks(["a"]), Usage(output=told)) is beyond


def test_what_is_no_content_does_not_count() -> None:
    watch = Watch(1)
    assert not any(watch.beyond([Chunk(b'{"choices":[]}' + b" " * size, False)], None) for size in range(50))
