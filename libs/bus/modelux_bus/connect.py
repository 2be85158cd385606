"""Open the bus that a URL names."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs, unquote, urlsplit

from modelux_bus.base import Bus
from modelux_bus.kafka import KafkaBus, Security
from modelux_bus.memory import MemoryBus
from modelux_bus.postgres import PostgresBus


def open_bus(url: str) -> Bus:
    """The bus at `url`. Nothing is contacted before the first call, so a bus that is down keeps nobody from starting.

    `memory://`; `postgresql://user:password@host:port/database`; `kafka://host:port,host:port`, where
    `kafka://user:password@host:port/?tls=true&mechanism=SCRAM-SHA-512` gives TLS and a name.

    Raises `ValueError` for any other scheme, without repeating the URL, which may hold a password.
    """
    scheme = url.partition("://")[0]
    match scheme:
        case "memory":
            return MemoryBus()
        case "postgresql" | "postgres":
            return PostgresBus(url)
        case "kafka":
            servers, security = _kafka(url)
            return KafkaBus(servers, security=security)
        case _:
            raise ValueError(f"a bus URL starts with kafka://, postgresql:// or memory://, not {scheme[:20]!r}")


def _kafka(url: str) -> tuple[str, Security]:
    parts = urlsplit(url)
    account, _, servers = parts.netloc.rpartition("@")
    options = parse_qs(parts.query)
    if not servers:
        raise ValueError("a kafka:// URL names at least one host:port")
    if unknown := options.keys() - {"tls", "mechanism"}:
        raise ValueError(f"a kafka:// URL knows the options tls and mechanism, not {sorted(unknown)}")
    security = Security()
    tls = options.get("tls", ["false"])[0].lower() in ("true", "1", "yes")
    if tls:
        security["ssl_context"] = ssl.create_default_context()
    if account:
        name, _, password = account.partition(":")
        security["sasl_mechanism"] = options.get("mechanism", ["PLAIN"])[0]
        security["sasl_plain_username"] = unquote(name)
        security["sasl_plain_password"] = unquote(password)
    security["security_protocol"] = ("SASL_" if account else "") + ("SSL" if tls else "PLAINTEXT")
    return servers, security
