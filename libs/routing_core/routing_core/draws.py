"""Turn logged keys into uniform draws, so that replay sees the same chance as live traffic did."""

from __future__ import annotations

from hashlib import blake2b


def draw(*parts: str) -> float:
    """A number in [0, 1) that depends on `parts` alone: 53 bits of BLAKE2b over the parts, each with its length.

    Lengths are hashed along with the text, so `draw("ab", "c")` and `draw("a", "bc")` are independent. Lone
    surrogates are allowed.
    """
    text = "".join([f"{len(part)}:{part}" for part in parts])
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def pick(position: float, size: int) -> int:
    """The index in `range(size)` that a draw in [0, 1) falls on. Raises ValueError when `size` is below 1."""
    if size < 1:
        raise ValueError("nothing to pick from")
    return min(int(position * size), size - 1)
