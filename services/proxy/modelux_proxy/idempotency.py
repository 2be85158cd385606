"""Answer a repeated request with the answer of the first: same key and same body, within 24 hours, as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from modelux_contracts.errors import OpenAIError

WINDOW_S = 24 * 3600.0
_KEY_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished answer."""

    status: int
    headers: bytes
    body: bytes


@dataclass(slots=True)
class _Entry:
    body_hash: bytes
    began_s: float
    answer: Stored | None = None


class Idempotency:
    """What was answered under each key, oldest first.

    Bounded by count and bytes: the oldest finished answers go first.
    """

    def __init__(self, max_entries: int = 50_000, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0

    def begin(self, owner: str, key: str, path: str, body: bytes, now_s: float) -> Stored | None:
        """The stored answer, or None after taking the key for this request (then `finish` or `forget` it).

        Raises OpenAIError: 400 for a key that is empty or too long, 422 where it came with another body, 409 while the
        first still runs.
        """
        if not 1 <= len(key) <= _KEY_LIMIT or not key.isprintable():
            raise OpenAIError(
                400, f"Idempotency-Key must have 1 to {_KEY_LIMIT} printable characters", code="invalid_idempotency_key"
            )
        digest = blake2b(body, digest_size=16, key=path.encode()[:64]).digest()
        place = (owner, key)
        entry = self._entries.get(place)
        if entry is not None and now_s - entry.began_s > WINDOW_S:
            self.forget(owner, key)
            entry = None
        if entry is None:
            self._entries[place] = _Entry(digest, now_s)
            self._shrink()
            return None
        if entry.body_hash != digest:
            raise OpenAIError(422, "this Idempotency-Key was used with another request", code="idempotency_key_reused")
        if entry.answer is None:
            raise OpenAIError(
                409,
                "a request with this Idempotency-Key is still under way",
                code="idempotency_key_in_use",
                headers=(("retry-after", "1"),),
            )
        return entry.answer

    def finish(self, owner: str, key: str, answer: Stored) -> None:
        """Keeps the answer for the next request with this key. An answer that invites a retry is not kept."""
        entry = self._entries.get((owner, key))
        if entry is None:
            return
        if answer.status >= 500 or answer.status in (408, 409, 429) or len(answer.body) > self._max_bytes // 16:
            self.forget(owner, key)
            return
        entry.answer = answer
        self._bytes += len(answer.body)
        self._shrink()

    def forget(self, owner: str, key: str) -> None:
        """Frees the key: nothing came of the request."""
        entry = self._entries.pop((owner, key), None)
        if entry is not None and entry.answer is not None:
            self._bytes -= len(entry.answer.body)

    def _shrink(self) -> None:
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            oldest = next((place for place, entry in self._entries.items() if entry.answer is not None), None)
            if oldest is None:
                return
            self.forget(*oldest)
