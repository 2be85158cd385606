"""Sealing: what opens, what must not, and what an error may say."""

from __future__ import annotations

import pytest

from modelux_store.secrets import SecretError, open_sealed, seal

KEY, OLD = b"k" * 32, b"o" * 32
PLACE = {"organization_id": "org_1", "credential_id": "pc_1", "host": "api.openai.com:443"}


def test_a_secret_opens_where_it_was_sealed_for_and_never_looks_the_same() -> None:
    first, second = seal(KEY, b"sk-secret", **PLACE), seal(KEY, b"sk-secret", **PLACE)
    assert first != second
    assert b"sk-secret" not in first
    assert open_sealed(KEY, first, **PLACE) == b"sk-secret"
    assert open_sealed(KEY, seal(KEY, b"", **PLACE), **PLACE) == b""


@pytest.mark.parametrize("moved", ["organization_id", "credential_id", "host"])
def test_a_secret_that_was_moved_does_not_open(moved: str) -> None:
    with pytest.raises(SecretError) as refusal:
        open_sealed(KEY, seal(KEY, b"sk-secret", **PLACE), **{**PLACE, moved: "other"})
    assert refusal.value.code == "secret_tampered"


def test_parts_of_the_place_cannot_be_shifted_into_each_other() -> None:
    sealed = seal(KEY, b"x", organization_id="ab", credential_id="c", host="h")
    with pytest.raises(SecretError):
        open_sealed(KEY, sealed, organization_id="a", credential_id="bc", host="h")


def test_every_changed_byte_is_noticed() -> None:
    sealed = seal(KEY, b"sk-secret", **PLACE)
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        with pytest.raises(SecretError):
            open_sealed(KEY, changed, **PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SecretError):
            open_sealed(KEY, sealed[:length], **PLACE)


def test_an_old_key_opens_while_it_is_known_and_is_named_when_it_is_not() -> None:
    sealed = seal(OLD, b"sk-secret", **PLACE)
    assert open_sealed([KEY, OLD], sealed, **PLACE) == b"sk-secret"
    with pytest.raises(SecretError, match="MODELUX_ENCRYPTION_KEY") as refusal:
        open_sealed(KEY, sealed, **PLACE)
    assert refusal.value.code == "encryption_key_unknown"
    assert OLD.hex() not in str(refusal.value)


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(SecretError, match="32 bytes"):
        seal(key, b"x", **PLACE)
    with pytest.raises(SecretError, match="32 bytes"):
        open_sealed([KEY, key], seal(KEY, b"x", **PLACE), **PLACE)
