"""Embed texts by the words and letters they share: deterministic, offline, and blind to meaning."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt

from modelux_embedding.embedder import Embedder, Vectors, unit

NAME = "lexical-1"
"""A change of anything that a vector depends on needs another name."""
SIZE = 1024
LONGEST_CHARS = 32_000
"""Of a longer text the beginning and the end, half of this each."""
CHUNK = 64

Hashes = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_PRIME = np.uint64(0x100000001B3)
_GRAMS = (4, 5)


class Lexical(Embedder):
    """Hashed words, pairs of words and letter n-grams, each counted as 1 + log(count). No weights by rarity: those
    would make a score depend on what else was seen.
    """

    name = NAME

    async def embed(self, texts: Sequence[str]) -> Vectors:
        parts = [
            await asyncio.to_thread(vectors, texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, SIZE), np.float32)


def vectors(texts: Sequence[str]) -> Vectors:
    """One row of `SIZE` for each text, of unit length; zeros for a blank text."""
    rows = np.zeros((len(texts), SIZE))
    for row, text in zip(rows, texts, strict=True):
        plain = _plain(text)
        for family, weight in _FAMILIES.items():
            row += weight * _folded(family(plain))
    return unit(rows)


def _plain(text: str) -> str:
    if len(text) > LONGEST_CHARS:
        text = f"{text[: LONGEST_CHARS // 2]} {text[-LONGEST_CHARS // 2 :]}"
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _words(text: str) -> Hashes:
    found = [crc32(word.encode("utf-8", "surrogatepass")) for word in _WORD.findall(text)]
    return _mixed(np.array(found, dtype=np.uint64) + np.uint64(1 << 32))


def _pairs(text: str) -> Hashes:
    words = _words(text)
    return _mixed(words[:-1] * _PRIME + words[1:])


def _letters(text: str) -> Hashes:
    """Every run of four or five letters, blanks and signs; the ends of the text count as blanks."""
    if not text:
        return np.zeros(0, dtype=np.uint64)
    codes = np.frombuffer(f"  {text}  ".encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    found = []
    for size in _GRAMS:
        grams = np.full(len(codes) - size + 1, size, dtype=np.uint64)
        for place in range(size):
            grams = grams * _PRIME + codes[place : place + len(grams)]
        found.append(_mixed(grams))
    return np.concatenate(found)


_FAMILIES: Mapping[Callable[[str], Hashes], float] = {_words: 0.75, _pairs: 0.45, _letters: 0.5}
"""Weights of the three unit vectors that are added up; a score weighs the families by about their squares."""


def _folded(hashes: Hashes) -> npt.NDArray[np.float64]:
    """A unit vector in which each hash has a place and a sign."""
    distinct, counts = np.unique(hashes, return_counts=True)
    signed = np.where(distinct & np.uint64(1), 1.0, -1.0) * (1.0 + np.log(counts))
    places = ((distinct >> np.uint64(1)) % np.uint64(SIZE)).astype(np.int64)
    row = np.bincount(places, weights=signed, minlength=SIZE).astype(np.float64)
    length = float(np.linalg.norm(row))
    return row / length if length else row


def _mixed(values: Hashes) -> Hashes:
    """SplitMix64's finaliser: every bit of the input moves every bit of the result."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
