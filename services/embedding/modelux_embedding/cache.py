"""Remember vectors by the hash of their text, so that no text is embedded twice while it is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from modelux_embedding.embedder import Embedder, Vectors
from modelux_telemetry.meters import Meters

ENTRY_BYTES = 300
"""About what one entry takes beside its vector."""


class Cached(Embedder):
    """An embedder behind a memory of bounded size that forgets what was unused longest. Blank texts have zeros."""

    def __init__(self, inner: Embedder, most_bytes: int, counted: Meters) -> None:
        self.name, self.charged_model = inner.name, inner.charged_model
        self._counted = counted
        self._inner = inner
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[bytes, Vectors] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`, for blank texts too."""
        keys = [_key(text) for text in texts]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found and text.strip()}
        for key in found:
            self._kept.move_to_end(key)
        self._counted.add("remembered_texts", len(found))
        self._counted.add("texts", len(missing))
        if missing:
            fresh = await self._inner.embed(list(missing.values()))
            for key, vector in zip(missing, fresh, strict=True):
                found[key] = self._keep(key, vector)
        if not found:
            return np.zeros((len(texts), 0 if not texts else await self._size()), np.float32)
        blank = np.zeros_like(next(iter(found.values())))
        return np.stack([found.get(key, blank) for key in keys])

    async def close(self) -> None:
        await self._inner.close()

    async def _size(self) -> int:
        return int((await self._inner.embed(["a"])).shape[1])

    def _keep(self, key: bytes, vector: Vectors) -> Vectors:
        own = vector.copy()
        if key not in self._kept:
            self._bytes += own.nbytes + ENTRY_BYTES
        self._kept[key] = own
        while self._bytes > self._most_bytes:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.nbytes + ENTRY_BYTES
        return own


def _key(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
