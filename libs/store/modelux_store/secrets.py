"""Seal secrets with AES-256-GCM, bound to the organization, credential and host that they were entered for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from routing_core.errors import ModeluxError

KEY_BYTES = 32
_FORMAT = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12


class SecretError(ModeluxError):
    """A secret cannot be sealed or opened with the keys at hand. Never holds any part of it."""


def seal(key: bytes, secret: bytes, *, organization_id: str, credential_id: str, host: str) -> bytes:
    """Format byte, key id, nonce, ciphertext with tag. Raises `SecretError` for a key that is not 32 bytes."""
    nonce = os.urandom(_NONCE_BYTES)
    bound = _bound(organization_id, credential_id, host)
    return _FORMAT + key_id(key) + nonce + AESGCM(key).encrypt(nonce, secret, bound)


def open_sealed(
    keys: bytes | Sequence[bytes], sealed: bytes, *, organization_id: str, credential_id: str, host: str
) -> bytes:
    """The secret. While a key is being rotated, pass the new and the old ones: the key id picks.

    Raises:
        SecretError: `encryption_key_unknown` when no key fits, `secret_tampered` when the bytes were changed or belong
            to another organization, credential or host.
    """
    known = {key_id(key): key for key in ([keys] if isinstance(keys, bytes) else keys)}
    head = len(_FORMAT) + _ID_BYTES
    identifier, nonce, body = (
        sealed[len(_FORMAT) : head],
        sealed[head : head + _NONCE_BYTES],
        sealed[head + _NONCE_BYTES :],
    )
    if not sealed.startswith(_FORMAT) or len(nonce) != _NONCE_BYTES:
        raise SecretError("secret_tampered", "a stored secret is not in a format of ours")
    if identifier not in known:
        raise SecretError(
            "encryption_key_unknown",
            f"a stored secret was sealed with key {identifier.hex()}, which is not at hand",
            hint="Start with the MODELUX_ENCRYPTION_KEY that sealed it, or enter the secret again.",
        )
    try:
        return AESGCM(known[identifier]).decrypt(nonce, body, _bound(organization_id, credential_id, host))
    except InvalidTag as error:
        raise SecretError("secret_tampered", "a stored secret was changed or moved") from error


def key_id(key: bytes) -> bytes:
    """Names a key without telling it. Raises `SecretError` for a key that is not 32 bytes."""
    if len(key) != KEY_BYTES:
        raise SecretError("encryption_key_invalid", f"an encryption key has {KEY_BYTES} bytes, not {len(key)}")
    return hashlib.sha256(b"modelux key id" + key).digest()[:_ID_BYTES]


def _bound(*parts: str) -> bytes:
    """Length before text, so that no two triples give the same bytes."""
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
