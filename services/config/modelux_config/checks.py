"""What single fields may hold. Each returns the value to store or raises a 422 problem that names the field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from modelux_contracts.refusals import FieldError, invalid

MAX_NAME = 100
MAX_TEXT = 2_000
MAX_PER_MINUTE = 1_000_000_000
MAX_MODELS = 200
LOGGING_MODES = ("full", "metadata_only")
RESERVED_SLUGS = frozenset({"active", "all", "latest", "new", "none"})

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MODEL = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


def name(text: str, field: str = "name") -> str:
    """A name for people: 1 to 100 visible characters, normalised so that equal-looking names compare equal."""
    value = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(value) <= MAX_NAME:
        raise invalid(FieldError(field, f"has {len(value)} characters", f"Use 1 to {MAX_NAME}."))
    if not value.isprintable():
        raise invalid(FieldError(field, "holds control or invisible characters", "Use plain text on one line."))
    return value


def text(value: str, field: str) -> str:
    """Free text of at most 2,000 characters, stored as it is."""
    if len(value) > MAX_TEXT:
        raise invalid(FieldError(field, f"has {len(value):,} characters", f"Use at most {MAX_TEXT:,}."))
    if "\x00" in value:
        raise invalid(FieldError(field, "holds a NUL character", "Remove it."))
    return value


def slug(value: str) -> str:
    """The name that callers put behind the @: ASCII lowercase, so that no two slugs look alike."""
    bare = value.removeprefix("@")
    if not _SLUG.fullmatch(bare):
        hint = "Use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit."
        lowered = bare.lower()
        if _SLUG.fullmatch(lowered):
            hint += f" Did you mean {lowered!r}?"
        raise invalid(FieldError("slug", f"{value[:80]!r} is not a slug", hint), code="invalid_slug")
    if bare in RESERVED_SLUGS:
        raise invalid(FieldError("slug", f"{bare!r} is reserved", "Choose another name."), code="reserved_slug")
    return bare


def logging_mode(value: str) -> str:
    if value not in LOGGING_MODES:
        raise invalid(
            FieldError("loggingMode", f"{value[:40]!r} is not a logging mode", f"Use {_either(LOGGING_MODES)}.")
        )
    return value


def per_minute(value: int, field: str) -> int:
    """A limit per minute; 0: none."""
    if not 0 <= value <= MAX_PER_MINUTE:
        raise invalid(FieldError(field, f"{value} is out of range", f"Use 0 (no limit) to {MAX_PER_MINUTE:,}."))
    return value


def tokens(value: int, field: str) -> int:
    """A number of tokens; 0: the model's own limit."""
    if not 0 <= value <= 10_000_000:
        raise invalid(FieldError(field, f"{value} is out of range", "Use 0 (the model's own limit) to 10,000,000."))
    return value


def expiry(value_us: int, now_us: int) -> int:
    """A moment to come; 0: never."""
    if value_us and value_us <= now_us:
        raise invalid(FieldError("expiresAt", "lies in the past", "Give a moment to come, or null for never."))
    return value_us


def models(values: Iterable[str], field: str) -> list[str]:
    """Names of models or @slugs, each once, in the order given."""
    found = list(dict.fromkeys(values))
    if len(found) > MAX_MODELS:
        raise invalid(FieldError(field, f"holds {len(found)} names", f"Use at most {MAX_MODELS}."))
    for index, value in enumerate(found):
        if not _MODEL.fullmatch(value):
            hint = "Use names such as gpt-4o-mini, gpt-4o-mini:openai or @production."
            raise invalid(FieldError(f"{field}[{index}]", f"{value[:80]!r} is not a model's name", hint))
    return found


def secret(value: str, field: str = "secret") -> str:
    """A provider's key: visible ASCII without spaces, so that it can stand in a header."""
    if not 8 <= len(value) <= 4_096:
        raise invalid(
            FieldError(
                field, f"has {len(value)} characters", "Paste the whole key of the provider (8 to 4,096 characters)."
            )
        )
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise invalid(
            FieldError(field, "holds spaces, line ends or other characters that no key has", "Paste the key alone.")
        )
    return value


def _either(words: Sequence[str]) -> str:
    return " or ".join(repr(word) for word in words)
