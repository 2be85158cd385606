"""Opaque page cursors: the last position, signed for one list of one organization."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from hashlib import sha256

from modelux.config.v1.admin_pb2 import Page
from modelux_contracts.refusals import FieldError, invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
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
            hint = "Start again without a cursor, or pass next_cursor of the page before unchanged."
            raise invalid(FieldError("cursor", "this cursor does not belong to this list", hint), code="invalid_cursor")
        return body.decode()

    def _mac(self, body: bytes, scope: tuple[str, ...]) -> bytes:
        text = b"\x00".join([part.encode() for part in scope] + [body])
        return hmac.digest(self.key, text, "sha256")[:_MAC_BYTES]


def cursors(encryption_key: bytes) -> Cursors:
    """Cursors under a key derived from the installation's."""
    return Cursors(hmac.digest(encryption_key, b"modelux config cursors", sha256))


def limit_of(page: Page) -> int:
    """Rows per page. Raises a 422 problem outside 1 to 200."""
    if not page.limit:
        return DEFAULT_LIMIT
    if not 1 <= page.limit <= MAX_LIMIT:
        raise invalid(
            FieldError("limit", f"{page.limit} is not between 1 and {MAX_LIMIT}", "Follow next_cursor for more.")
        )
    return page.limit
