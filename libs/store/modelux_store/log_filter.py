"""Which requests of the log are wanted, as conditions with bound values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from modelux_contracts.sources import MADE


@dataclass(frozen=True, slots=True)
class LogFilter:
    """All conditions must hold; None and an empty mapping mean any, but see `source`.

    Times are microseconds since the epoch, `start_us` within and `end_us` without; costs nano-USD, latencies in us.
    `model` and `provider` are those that answered; `requested_model` is as the caller wrote it.
    """

    organization_id: str
    project_id: str | None = None
    start_us: int | None = None
    end_us: int | None = None
    model: str | None = None
    provider: str | None = None
    requested_model: str | None = None
    config: str | None = None
    """The slug, without @."""
    config_version: int | None = None
    endpoint: str | None = None
    end_user_id: str | None = None
    key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    min_status: int | None = None
    max_status: int | None = None
    outcome: str | None = None
    source: str | None = None
    """Empty: served by a proxy. None: any but the calls that experiments and judge runs made."""
    error_code: str | None = None
    min_cost_nano: int | None = None
    max_cost_nano: int | None = None
    min_latency_us: int | None = None
    max_latency_us: int | None = None

    def conditions(self) -> tuple[str, dict[str, object]]:
        """SQL of our own making with `{name:Type}` places, and the values for them."""
        clauses = [sql for name, sql in _CLAUSES.items() if getattr(self, name) is not None]
        values = {name: getattr(self, name) for name in _CLAUSES if getattr(self, name) is not None}
        if self.source is None:
            clauses.append(_TRAFFIC)
        for clause, names in self._tag_conditions():
            clauses.append(clause)
            values |= names
        return " AND ".join(clauses), values

    def _tag_conditions(self) -> Iterator[tuple[str, dict[str, object]]]:
        for number, (key, value) in enumerate(sorted(self.tags.items())):
            name, wanted = f"tag_{number}_name", f"tag_{number}_value"
            clause = f"mapContains(tags, {{{name}:String}}) AND tags[{{{name}:String}}] = {{{wanted}:String}}"
            yield clause, {name: key, wanted: value}

    def identity(self) -> bytes:
        """Equal for equal filters, different for different ones: what a cursor is bound to."""
        parts = [(each.name, getattr(self, each.name)) for each in fields(self) if each.name != "tags"]
        return repr((parts, sorted(self.tags.items()))).encode()


_TRAFFIC = f"source NOT IN {MADE!r}"
_MOMENT = "fromUnixTimestamp64Micro({{{}:Int64}}, 'UTC')"
_CLAUSES: Mapping[str, str] = {
    "organization_id": "organization_id = {organization_id:String}",
    "project_id": "project_id = {project_id:String}",
    "start_us": f"started_at >= {_MOMENT.format('start_us')}",
    "end_us": f"started_at < {_MOMENT.format('end_us')}",
    "model": "model = {model:String}",
    "provider": "provider = {provider:String}",
    "requested_model": "requested_model = {requested_model:String}",
    "config": "config_slug = {config:String}",
    "config_version": "config_version = {config_version:Int32}",
    "endpoint": "endpoint = {endpoint:String}",
    "end_user_id": "end_user_id = {end_user_id:String}",
    "key_id": "key_id = {key_id:String}",
    "status": "status = {status:Int32}",
    "min_status": "status >= {min_status:Int32}",
    "max_status": "status <= {max_status:Int32}",
    "outcome": "outcome = {outcome:String}",
    "source": "source = {source:String}",
    "error_code": "error_code = {error_code:String}",
    "min_cost_nano": "cost_nano >= {min_cost_nano:Int64}",
    "max_cost_nano": "cost_nano <= {max_cost_nano:Int64}",
    "min_latency_us": "latency_us >= {min_latency_us:Int64}",
    "max_latency_us": "latency_us <= {max_latency_us:Int64}",
}
