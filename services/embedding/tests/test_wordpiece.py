"""Pieces of words, as BERT's own tokenizer cuts them (expected values from Hugging Face tokenizers 0.23.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_embedding.wordpiece import LONGEST_WORD, WordPiece

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##aff",
    "##able",
    "reset",
    "cafe",
    "!",
    "-",
    "中",
    "文",
    "a",
    "##a",
]
KNOWN = WordPiece(PIECES)


def cut(text: str, most: int = 64) -> str:
    return " ".join(PIECES[number] for number in KNOWN.encode(text, most))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("reset", "reset", id="a whole word"),
        pytest.param("UNaffable", "un ##aff ##able", id="pieces of a word in capitals"),
        pytest.param("unaffablez", "[UNK]", id="one unknown end makes the whole word unknown"),
        pytest.param("Café", "cafe", id="accents"),
        pytest.param("reset!-a", "reset ! - a", id="signs stand alone"),
        pytest.param("中文reset", "中 文 reset", id="CJK characters stand alone"),
        pytest.param("re\x00s\u200bet\ufffd", "reset", id="control and format characters are left out"),
        pytest.param("reset\u00a0a\ta\u3000a", "reset a a a", id="blanks of all kinds"),
        pytest.param("a" * LONGEST_WORD, " ".join(["a", *["##a"] * (LONGEST_WORD - 1)]), id="the longest word"),
        pytest.param("a" * (LONGEST_WORD + 1), "[UNK]", id="a longer one"),
    ],
)
def test_text_is_cut_as_by_bert(text: str, pieces: str) -> None:
    assert cut(text, 256) == f"[CLS] {pieces} [SEP]".replace("  ", " ")


@given(st.text(), st.integers(2, 20))
def test_there_are_never_more_pieces_than_asked_for(text: str, most: int) -> None:
    numbers = KNOWN.encode(text, most)
    assert len(numbers) <= most
    assert (numbers[0], numbers[-1]) == (2, 3)
