"""Where a credential's calls may go: the shape of a base URL, and which hosts are refused at save.

The egress guard checks every resolved address again at each connection; this check is for a clear answer at the time
of writing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelux_contracts.errors import ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_providers.egress import BlockedAddress, Guard

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)")
_HINT = (
    "Use https://host/path of a public provider. For one in your own network or on this machine (Ollama, vLLM), the "
    "operator starts Modelux with MODELUX_CONFIG_PRIVATE_HOSTS=host:port in the environment."
)


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL that may be stored. `private`: only reachable because an operator allows it."""

    url: str
    host: str
    private: bool


def parse(url: str, private_hosts: Collection[str], *, allow_private: bool = False) -> Address:
    """Checks a base URL as a tenant wrote it. `private_hosts` holds the operator's `host` or `host:port` entries
    (`*`: any).

    Raises a 422 problem (`invalid_base_url` for the shape, `blocked_address` for the host).
    """
    scheme, host, port, path = _split(url)
    private = allow_private or bool({"*", host, f"{host}:{port}"} & set(private_hosts))
    if scheme == "http" and not private:
        raise _blocked("plain http would send the key unencrypted")
    bare = host.strip("[]")
    if ":" not in bare:
        _check_name(bare, private)
    try:
        Guard().check_name(bare, port, allow_private=private)
    except BlockedAddress as error:
        raise _blocked(str(error)) from error
    shown = host if port == (80 if scheme == "http" else 443) else f"{host}:{port}"
    return Address(f"{scheme}://{shown}{path}", f"{bare}:{port}", private)


def _split(url: str) -> tuple[str, str, int, str]:
    """Scheme, host (IPv6 in brackets), port and path. Only plain URLs pass: nothing that two parsers could read in
    two ways.
    """
    if not url.isascii():
        raise _malformed(
            "holds characters outside ASCII",
            "Write an international name in its xn-- form; look-alike names are refused.",
        )
    if len(url) > 2_000 or not url.isprintable() or re.search(r"[\s\\%<>\"{}|^`]", url):
        raise _malformed("is not a plain URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _malformed("is not a URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _malformed("does not begin with https://")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in url or "#" in url:
        raise _malformed("holds a user name, a query or a fragment", "Give the key in 'secret', never in the URL.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, host, port or (80 if parts.scheme == "http" else 443), parts.path.rstrip("/")


def _check_name(host: str, private: bool) -> None:
    """Refuses what looks like a number in disguise, and names that are not fully qualified."""
    if host.endswith("."):
        raise _blocked(f"{host!r} ends with a dot")
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]) and not _canonical_ipv4(host):
        raise _blocked(f"{host!r} is an address in an unusual form")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise _malformed("has a host that is not a DNS name")
    if not private and any(label.startswith("xn--") for label in labels):
        raise _blocked(f"{host!r} is an international name")
    internal = len(labels) == 1 or labels[-1] in (
        "local",
        "localhost",
        "internal",
        "localdomain",
        "home",
        "lan",
        "arpa",
    )
    if internal and not private:
        raise _blocked(f"{host!r} is a name of a private network")


def _canonical_ipv4(host: str) -> bool:
    return bool(_IPV4.fullmatch(host)) and all(str(int(part)) == part and int(part) < 256 for part in host.split("."))


def _malformed(message: str, hint: str = _HINT) -> ProblemError:
    return invalid(FieldError("baseUrl", message, hint), code="invalid_base_url")


def _blocked(message: str) -> ProblemError:
    return invalid(FieldError("baseUrl", message, _HINT), code="blocked_address")
