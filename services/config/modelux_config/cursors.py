"""Opaque page cursors: the last position, signed for one list of one organization."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from hashlib import sha256

from modelux_contracts.pages import FOREIGN_CURSOR
from modelux_contracts.refusals import invalid

_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cursors:
    """Signs and reads cursors. A cursor of another list, organization or installation is refused."""

    key: bytes

    def write(self, position: str, *scope: str) -> str:
        """The cursor that continues after `position`."""
        body = position.encode()
        return base64.urlsafe_b64encode(self._mac(body, scope) + body).decode().rstrip("=")

    def read(self, cursor: str, *scope: str) -> str:
        """The position inside; "" for an empty cursor. Raises a 422 problem for one that was not written for this
        list.
        """
        if not cursor:
            return ""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (binascii.Error, UnicodeEncodeError):
            raw = b""
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body, scope)):
            raise invalid(FOREIGN_CURSOR, code="invalid_cursor")
        return body.decode()

    def _mac(self, body: bytes, scope: tuple[str, ...]) -> bytes:
        text = b"\x00".join([part.encode() for part in scope] + [body])
        return hmac.digest(self.key, text, "sha256")[:_MAC_BYTES]


def cursors(encryption_key: bytes) -> Cursors:
    """Cursors under a key derived from the installation's."""
    return Cursors(hmac.digest(encryption_key, b"modelux config cursors", sha256))
