"""What turns texts into vectors, whatever does it, and the arithmetic on those vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""One row for each text."""


class EmbedderFailed(Exception):
    """No vectors could be had; the message says why and names no secret.

    `passing`: it may well work later. `text`: it is the fault of a text, and others may well work.
    """

    def __init__(self, message: str, *, hint: str = "", passing: bool = False, text: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.passing = passing
        self.text = text


class Embedder(ABC):
    """Equal texts have equal vectors, in every process that has the same embedder."""

    name: str
    """Stored with each score: those of different embedders do not compare."""
    charged_model: str = ""
    """The model by which an endpoint charges; empty where texts stay on the machine."""

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length, one for each text; no text is blank. Raises `EmbedderFailed`."""

    async def close(self) -> None:
        """Lets go of connections and threads."""
        return


def unit(vectors: npt.ArrayLike) -> Vectors:
    """Rows scaled to length 1; rows of zeros stay."""
    wide = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return scaled.astype(np.float32)


def cosines(first: Vectors, second: Vectors) -> npt.NDArray[np.float64]:
    """Row by row, of vectors of unit length, clamped to [0, 1]."""
    products = np.einsum("ij,ij->i", first.astype(np.float64), second.astype(np.float64))
    clamped: npt.NDArray[np.float64] = np.clip(products, 0.0, 1.0)
    return clamped
