"""The environment, read once into frozen settings: the only place that looks at it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TypeVar, cast, get_type_hints

from routing_core.errors import ModeluxError

S = TypeVar("S")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class InvalidSetting(ModeluxError):
    """A variable that is missing or does not parse."""


def setting(default: S, help: str) -> S:
    """A dataclass field with a default and its documentation."""
    return field(default=default, metadata={"help": help})


def required(kind: type[S], help: str) -> S:
    """A dataclass field that the environment must set."""
    return cast(S, field(metadata={"help": help}))


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """Where the shared things are: `MODELUX_<FIELD>`."""

    database_url: str = setting("", "PostgreSQL, `postgresql://user:password@host:port/name`")
    clickhouse_url: str = setting("", "ClickHouse over HTTP, `http://user:password@host:port/database`")
    bus_url: str = setting("", "`kafka://host:port`, `postgresql://…` or `memory://`")
    encryption_key: str = setting("", "Base64 of 32 bytes that seal provider keys")
    config_url: str = setting("", "gRPC target of the config service, `unix:/path` or `dns:///host:port`")
    replay_url: str = setting("", "gRPC target of the replay service, `unix:/path` or `dns:///host:port`")
    embedding_url: str = setting("", "gRPC target of the embedding service, `unix:/path` or `dns:///host:port`")
    judge_url: str = setting("", "gRPC target of the judge service, `unix:/path` or `dns:///host:port`")
    health_host: str = setting("127.0.0.1", "Address of /livez, /readyz and /metrics")
    health_port: int = setting(0, "Their port; 0 lets the system choose")
    log_level: str = setting("info", "debug, info, warning or error")


os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # noqa: TID251  # the one place
# Processes fork only to run another program. Between the two, gRPC's handlers would wake its pollers in the child.


def load(kind: type[S], prefix: str, environ: Mapping[str, str] | None = None) -> S:
    """Fills `kind` (a dataclass) from `<prefix>_<FIELD>` or the file named by `<prefix>_<FIELD>_FILE`.

    Raises `InvalidSetting` that names the variable; the value itself is never repeated, as it may be a secret.
    """
    source = os.environ if environ is None else environ  # noqa: TID251  # the one place
    hints = get_type_hints(kind)
    values: dict[str, object] = {}
    for each in fields(kind):  # type: ignore[arg-type]  # S is a dataclass by contract
        name = f"{prefix}_{each.name}".upper()
        text = _text(source, name)
        if text is not None:
            values[each.name] = _parse(name, text, hints[each.name])
        elif _required(each):
            help_text = str(each.metadata.get("help", ""))
            raise InvalidSetting("setting_missing", f"{name} is not set", hint=f"It holds: {help_text}.")
    return kind(**values)


def provider_keys(names: Mapping[str, str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of `names` (variable -> vendor) those that are set and not empty, as vendor -> key."""
    source = os.environ if environ is None else environ  # noqa: TID251  # the one place
    return {vendor: source[name] for name, vendor in names.items() if source.get(name)}


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `extra` on top, for processes that the supervisor starts."""
    return {**os.environ, **extra}  # noqa: TID251  # the one place


def _required(each: Field[object]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _text(source: Mapping[str, str], name: str) -> str | None:
    if name in source:
        return source[name]
    path = source.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise InvalidSetting("setting_unreadable", f"{name}_FILE names a file that cannot be read: {error}") from error


def _parse(name: str, text: str, kind: object) -> object:
    try:
        if kind is bool:
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise ValueError
        if kind in (int, float, Path):
            return kind(text)
    except ValueError as error:
        wanted = getattr(kind, "__name__", str(kind))
        raise InvalidSetting("setting_invalid", f"{name} is not a valid {wanted}") from error
    return text
