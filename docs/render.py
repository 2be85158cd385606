"""Write `reference.md` and `rules.md` from the registries: commands, settings, topics, metrics, the rule language."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path

import typer.main
from prometheus_client.core import Metric
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from modelux_cli.main import app
from modelux_cli.services import LAYOUTS, SERVICES, load_service
from modelux_config import metrics as config_metrics
from modelux_contracts.topics import TOPICS
from modelux_embedding import metrics as embedding_metrics
from modelux_ingest import metrics as ingest_metrics
from modelux_proxy.metrics import Metrics
from modelux_replay import metrics as replay_metrics
from modelux_response_sampler import metrics as sampler_metrics
from modelux_runtime.settings import PlatformSettings
from routing_core.rules import MAX_STEPS, SCHEMA, Field

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by `make docs` from the registries; change those instead. -->"


def reference() -> str:
    """The text of `reference.md`."""
    parts = ["# Reference", NOTE, "", *_commands(), *_settings(), *_topics(), *_metrics(), *_health()]
    return "\n".join(parts) + "\n"


def rules() -> str:
    """The text of `rules.md`."""
    return "\n".join([RULES.format(note=NOTE, steps=f"{MAX_STEPS:,}").rstrip(), "", *_names()]) + "\n"


def documents() -> Mapping[Path, str]:
    """What each rendered file should hold."""
    return {FOLDER / "reference.md": reference(), FOLDER / "rules.md": rules()}


def commands() -> Mapping[str, TyperCommand]:
    """Every command of the `modelux` program, those of groups as `group command`, however deep."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(_within(group))


def _within(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, TyperCommand]]:
    for name, each in group.commands.items():
        if each.hidden:
            continue
        if isinstance(each, TyperCommand):
            yield f"{prefix}{name}", each
        elif isinstance(each, TyperGroup):
            yield from _within(each, f"{prefix}{name} ")


def _commands() -> Iterator[str]:
    yield "## Commands"
    for name, command in commands().items():
        yield f"### `modelux {name}`"
        yield (command.help or "").strip()
        yield ""
        yield from _table(("option", "default", "what it does"), [_parameter(each) for each in command.params])


def _parameter(parameter: TyperOption | TyperArgument) -> tuple[str, ...]:
    names = parameter.opts if isinstance(parameter, TyperOption) else [str(parameter.metavar or parameter.name).upper()]
    default = parameter.default
    shown = "" if default in (None, "") or default is False or callable(default) else f"`{default}`"
    variable = f" (`{parameter.envvar}`)" if parameter.envvar else ""
    return ", ".join(f"`{each}`" for each in names), shown, f"{parameter.help or ''}{variable}"


def _settings() -> Iterator[str]:
    yield "## Settings"
    yield "Each is an environment variable. A secret may be given as a file instead: `<NAME>_FILE` names it."
    yield ""
    yield "### Every process"
    yield from _variables("MODELUX", PlatformSettings)
    for name, entry in SERVICES.items():
        service = load_service(name)
        yield f"### {name}"
        yield f"{entry.purpose}. Needs {', '.join(sorted(need.replace('_', ' ') for need in service.needs))}."
        yield ""
        yield from _variables(f"MODELUX_{name}", service.settings)


def _variables(prefix: str, kind: type) -> Iterator[str]:
    rows = []
    for each in fields(kind):
        default = "required" if each.default is MISSING else f"`{each.default}`" if each.default != "" else ""
        rows.append((f"`{prefix.upper()}_{each.name.upper()}`", default, str(each.metadata.get("help", ""))))
    return _table(("variable", "default", "what it holds"), rows)


def _topics() -> Iterator[str]:
    yield "## Topics"
    yield "Each has a dead-letter topic of its name and `.dlq`. Messages of one key stay in order."
    yield ""
    rows = [
        (f"`{t.name}`", t.producer, ", ".join(t.consumers) or "–", f"`{t.schema}`", f"`{t.key}`", str(t.partitions))
        for t in TOPICS.values()
    ]
    yield from _table(("topic", "from", "to", "message", "key", "partitions"), rows)


def _metrics() -> Iterator[str]:
    yield "## Metrics"
    yield "At `/metrics` of each process's health port, in Prometheus's format, beside those of the Python process."
    yield ""
    services = (config_metrics, ingest_metrics, replay_metrics, sampler_metrics, embedding_metrics)
    shown = [each for meters in (Metrics(), *(each.meters() for each in services)) for each in meters.collect()]
    yield from _table(("metric", "type", "what it says"), [_metric(each) for each in shown])


def _metric(metric: Metric) -> tuple[str, ...]:
    suffix = "_total" if metric.type == "counter" else ""
    labels = ", ".join(f"`{name}`" for name in getattr(metric, "_labelnames", ()))
    told = metric.documentation + (f", by {labels}" if labels else "")
    return f"`{metric.name}{suffix}`", metric.type, told


def _health() -> Iterator[str]:
    yield "## Health"
    yield "`/livez` (the process answers), `/readyz` (each check on a line) and `/metrics` on `MODELUX_HEALTH_PORT`."
    yield ""
    rows = [(name, "; ".join(f"`modelux run {' '.join(each)}`" for each in form)) for name, form in LAYOUTS.items()]
    yield from _table(("form", "processes"), rows)


def _names() -> Iterator[str]:
    rows = []
    for name, entry in SCHEMA.items():
        rows.append(_name(name, entry))
        if name != "request":  # its fields are the ones above
            rows += [_name(f"{name}.{inner}", each) for inner, each in entry.type.fields.items()]
    yield from _table(("name", "type", "what it is"), rows)


def _name(name: str, entry: Field) -> tuple[str, ...]:
    return f"`{name}`", f"`{entry.type}`" + (", optional" if entry.optional else ""), entry.doc


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield "| " + " | ".join(head) + " |"
        yield "|" + "---|" * len(head)
        yield from ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        yield ""


RULES = """# The rule language
{note}

Conditions of `custom_rules` are written in a subset of CEL, the Common Expression Language of Kubernetes and Envoy:

```
tags.tier == "gold" && budget.used_fraction < 0.8
input_tokens > 4000 ? latency_ms["gpt-4o"] < 900.0 : weekday in [0, 6]
has(tags.run_id) && tags.agent.matches("^research-v[0-9]+$")
```

| | |
|---|---|
| values | `true`, `false`, `null`, integers of 64 bits, doubles, `"text"` and `'text'`, lists `[1, 2]` |
| operators | `! -`, `* / %`, `+ -`, `< <= > >= == != in`, `&&`, <code>\\|\\|</code>, `? :` |
| access | `tags.team`, `tags["team"]`, `list[0]` |
| functions | `has(x.y)`, `size(x)`, `int(x)`, `double(x)`, `string(x)` |
| on text | `contains`, `startsWith`, `endsWith`, `matches`, `lowerAscii`, `upperAscii`, `size` |
| on dates | `now.getFullYear()`, `getMonth`, `getDate`, `getDayOfMonth`, `getDayOfWeek` |
| on times | `now.getHours()`, `getMinutes`, `getSeconds` |
| macros | `list.exists(x, condition)`, `list.all(x, condition)`, `list.exists_one(x, condition)` |

A rule is checked for types when it is saved; a mistake is refused with its column. It may take {steps} steps. A rule
that cannot be decided on a request (a name marked *optional* or a key that is absent, a division by zero) does not
match, and the trace says why.

Where it differs from CEL: arithmetic of an integer and a double gives a double; dividing a double by zero fails too;
`matches` takes patterns without backtracking, written out as text; the methods of `now` take fixed offsets such as
`"+02:00"` instead of the names of time zones.

## What a rule sees"""


def main() -> int:
    """Writes the files, or with `--check` tells which are stale."""
    stale = [path for path, text in documents().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is stale: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(documents()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
