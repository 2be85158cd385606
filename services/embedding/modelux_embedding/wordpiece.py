"""Cut text into the pieces that BERT's uncased vocabulary knows, as its own tokenizer does."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

LONGEST_WORD = 100
"""A longer word is unknown as a whole."""
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""Each of these characters is a word. As the library has them: BERT itself begins the sixth at 0x2B820."""


class WordPiece:
    """A vocabulary. `vocabulary` holds its pieces in the order of their numbers."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        self._first, self._last, self._unknown = (self._numbers[each] for each in ("[CLS]", "[SEP]", "[UNK]"))

    def encode(self, text: str, most: int) -> list[int]:
        """Numbers of the pieces of a text between those of its start and end: at most `most` in all."""
        numbers = [self._first]
        # No piece is without a character, so the rest of a long text would be cut off anyway.
        for word in _words(text[: most * (LONGEST_WORD + 1)]):
            numbers += self._pieces(word)
            if len(numbers) >= most:
                break
        return [*numbers[: most - 1], self._last]

    def _pieces(self, word: str) -> list[int]:
        """The longest known piece from the left, again and again; one unknown where that ends nowhere."""
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(prefix + word[start:end])
                if number is not None:
                    break
            else:
                return [self._unknown]
            found.append(number)
            start = end
        return found


def _words(text: str) -> Iterator[str]:
    """Lower-case words without accents; signs and CJK characters stand alone."""
    for part in _spaced(text).split():
        lowered = (each for each in unicodedata.normalize("NFD", part) if unicodedata.category(each) != "Mn")
        word = ""
        for each in "".join(lowered).lower():
            if _sign(each):
                yield from (word, each) if word else (each,)
                word = ""
            else:
                word += each
        if word:
            yield word


def _spaced(text: str) -> str:
    """Without control characters, blanks of all kinds as blanks, and blanks around CJK characters."""
    out = []
    for each in text:
        code = ord(each)
        if each in "\t\n\r" or unicodedata.category(each) == "Zs":
            out.append(" ")
        elif code == 0xFFFD or unicodedata.category(each) in ("Cc", "Cf", "Co"):
            continue
        elif any(low <= code <= high for low, high in _CJK):
            out.append(f" {each} ")
        else:
            out.append(each)
    return "".join(out)


def _sign(each: str) -> bool:
    """Punctuation, and every sign of ASCII."""
    if each.isascii():
        return not each.isalnum() and each > " " and each != "\x7f"
    return unicodedata.category(each).startswith("P")
