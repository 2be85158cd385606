"""Embed texts by any endpoint that speaks OpenAI's `/embeddings`: in batches, with retries, by the guarded client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from urllib.parse import urlsplit

import msgspec
import numpy as np

from modelux_embedding.embedder import Embedder, EmbedderFailed, Vectors, unit
from modelux_providers.client import CallFailed, Client, ConnectFailed, Deadlines, Origin, request_head

OPENAI = "https://api.openai.com/v1"
MOST_TEXTS = 128
MOST_CHARS = 200_000
"""Of one request: far below OpenAI's 2,048 texts and 300,000 tokens."""
LONGEST_CHARS = 24_000
"""Of one text, whose rest is cut off: about 6,000 tokens of English; the common limit is 8,191."""
SHORTEST_CHARS = 500
"""A text that is refused is halved down to this: other scripts have more tokens to a character."""
TRIES = 5
AT_ONCE = 4
DEADLINES = Deadlines(connect_s=5.0, first_byte_s=30.0, idle_s=30.0, total_s=60.0)
_LONGEST_WAIT_S = 20.0
_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_NEVER = frozenset({"blocked_address", "tls_failed"})


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Vector]


class _Refused(Exception):
    """The endpoint does not take this request: 400, 413 or 422."""


_decode = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


class Endpoint(Embedder):
    """One model at one base URL. Owns the client it is given."""

    def __init__(
        self,
        client: Client,
        url: str,
        key: str,
        model: str,
        *,
        allow_private: bool = False,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Raises ValueError for a URL or key that cannot be used; the key is not repeated."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(f"{url!r} is no base URL such as {OPENAI}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.name = model if url.rstrip("/") == OPENAI else f"{model}@{parts.netloc}"
        self.charged_model = model
        self._client = client
        self._origin = Origin(parts.scheme, parts.hostname, port, allow_private, "embedding")
        headers = [(b"content-type", b"application/json")]
        if key:
            headers.append((b"authorization", b"Bearer " + key.encode("ascii")))
        self._head = request_head(self._origin, "POST", f"{parts.path.rstrip('/')}/embeddings", headers)
        self._model = model
        self._sleep = sleep
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        # Half of a surrogate pair, which JSON can carry in an escape, is no text that could be sent.
        cut = [text[:LONGEST_CHARS].encode("utf-8", "replace").decode() for text in texts]
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(self._guarded(batch)) for batch in _batches(cut)]
        failed = [each for part in parts if isinstance(each := part.result(), EmbedderFailed)]
        if failed:
            raise min(failed, key=lambda each: each.text)
        rows = [row for part in parts if not isinstance(each := part.result(), EmbedderFailed) for row in each]
        if len({len(row) for row in rows}) > 1:
            raise EmbedderFailed(f"{self.name!r} answered with vectors of different lengths")
        return unit(rows)

    async def close(self) -> None:
        await self._client.close()

    async def _guarded(self, texts: list[str]) -> list[list[float]] | EmbedderFailed:
        """A failure is a value here: it must not leave the task group wrapped."""
        async with self._slots:
            try:
                return await self._vectors(texts)
            except EmbedderFailed as failure:
                return failure

    async def _vectors(self, texts: list[str]) -> list[list[float]]:
        """Finds the text that a refused batch is refused for, and shortens it until it is taken."""
        try:
            return await self._asked(texts)
        except _Refused as refusal:
            if len(texts) > 1:
                half = len(texts) // 2
                return await self._vectors(texts[:half]) + await self._vectors(texts[half:])
            if len(texts[0]) // 2 >= SHORTEST_CHARS:
                return await self._vectors([texts[0][: len(texts[0]) // 2]])
            raise EmbedderFailed(f"{self.name!r} refuses a text: {refusal}", text=True) from refusal

    async def _asked(self, texts: list[str]) -> list[list[float]]:
        body = _encode({"model": self._model, "input": texts, "encoding_format": "float"})
        for number in range(1, TRIES + 1):
            told, wait_s = await self._once(body)
            if isinstance(told, bytes):
                return self._read(told, len(texts))
            if wait_s is None or number == TRIES:
                raise EmbedderFailed(told, hint=_HINT, passing=wait_s is not None)
            await self._sleep(min(max(wait_s, 0.25 * 2**number), _LONGEST_WAIT_S))
        raise AssertionError("the last try returns or raises")

    async def _once(self, body: bytes) -> tuple[bytes | str, float | None]:
        """The answer's body; or what went wrong and after how many seconds to try again, if ever. Raises `_Refused`."""
        try:
            response = await self._client.post(self._origin, self._head, body, DEADLINES)
            answer = await response.read()
        except CallFailed as failure:
            never = isinstance(failure, ConnectFailed) and failure.code in _NEVER
            return f"{self.name!r} cannot be asked: {failure}", None if never else 0.0
        if response.status == 200:
            return answer, None
        if response.status in (400, 413, 422):
            raise _Refused(f"status {response.status}")
        told = f"{self.name!r} answered with status {response.status}"
        return told, _retry_after(response.headers) if response.status in _AGAIN else None

    def _read(self, body: bytes, wanted: int) -> list[list[float]]:
        try:
            data = sorted(_decode(body).data, key=lambda each: each.index)
        except msgspec.DecodeError as error:
            raise EmbedderFailed(f"{self.name!r} answered with something else than embeddings", hint=_HINT) from error
        if [each.index for each in data] != list(range(wanted)):
            raise EmbedderFailed(f"{self.name!r} answered with {len(data)} vectors for {wanted} texts")
        vectors = [each.embedding for each in data]
        if not all(vector and np.isfinite(vector).all() and any(vector) for vector in vectors):
            raise EmbedderFailed(f"{self.name!r} answered with an empty vector", text=True)
        return vectors


_HINT = "Check MODELUX_EMBEDDING_ENDPOINT, _API_KEY, _MODEL and, for a host of your own, _PRIVATE."


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == MOST_TEXTS or size + len(text) > MOST_CHARS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _retry_after(headers: dict[bytes, bytes]) -> float:
    try:
        return max(0.0, float(headers.get(b"retry-after", b"0")))
    except ValueError:
        return 0.0
