"""`modelux logs`: the list of requests, and one request's decision in plain words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelux_cli.api import Api
from modelux_contracts.sources import MADE

Row = dict[str, Any]


def list_logs(api: Api, filters: Mapping[str, Any], tags: Sequence[str], as_json: bool) -> None:
    """Newest first, one line a request. `tags`: those that a request must have, `key=value` or `key:value`."""
    rows: list[Row] = api.get("/logs", {**filters, "tag": [_tag(each) for each in tags]})["data"]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(_line(row)))
    if not rows:
        print("modelux: no requests match", file=sys.stderr)


def show_trace(api: Api, request_id: str, as_json: bool) -> None:
    """One request: its attempts, the decision, the reason, cost, latency, project and config."""
    row: Row = api.get(f"/logs/{request_id}")["data"]
    print(json.dumps(row) if as_json else "\n".join(trace_lines(row)))


def _tag(written: str) -> str:
    """`key:value`, as the API takes it, also where it was written as `key=value` as for budgets.

    The sign that comes first parts the two: a value may hold both.
    """
    name, equals, value = written.partition("=")
    return f"{name}:{value}" if equals and ":" not in name else written


def _line(row: Row) -> Iterator[str]:
    yield str(row["started_at"])
    yield str(row["request_id"])
    yield str(row["requested_model"] or "-")
    yield f"{row['model'] or '-'}"
    yield _ms(row["latency_ms"])
    yield money(row["cost_usd"])
    yield str(row["status"])
    if row.get("source"):
        yield _origin(row["source"])


def trace_lines(row: Row) -> Iterator[str]:
    """The lines of `modelux logs --trace`, as on the product's page."""
    trace: Row = row["trace"] or {}
    attempts: list[Row] = trace.get("attempts", [])
    selected = next((a["number"] for a in reversed(attempts) if a["outcome"] == "ok"), None)
    outcome = f"attempt_{selected}" if selected and trace.get("selected") else "no answer"
    summary = f"{_ms(row['latency_ms'])} {money(row['cost_usd'])} {row['status']}"
    yield f"[modelux] {row['request_id']} {row['model'] or '-'} {summary}"
    for attempt in attempts:
        yield f"  attempt_{attempt['number']}  {attempt['model']:<28} {_ended(attempt)}"
    for excluded in trace.get("excluded", []):
        yield f"  excluded   {excluded['model']:<28} {excluded['reason']}"
    for hop in trace.get("path", []):
        yield f"  via        {hop['policy_type']} {hop['policy_name']} -> {hop['chose']} ({hop['reason']})"
    for budget in (trace.get("saw") or {}).get("budgets", []):
        yield f"  budget     {budget.get('name') or budget['budget_id']:<28} {_stood(budget)}"
    yield f"  decision: {trace.get('policy_type', '-')} -> {outcome}"
    yield f"  reason: {trace.get('selection_reason') or row.get('error_code') or '-'}"
    yield f"  cost: {_cost(row)}"
    versions = {attempt["price_version"]: None for attempt in row.get("attempt_log", ()) if attempt["price_version"]}
    if versions:
        yield f"  price: {', '.join(versions)}"
    yield f"  latency: {_latency(row)}"
    yield f"  project: {row['project_id']}"
    yield f"  config: {_config(row)}"
    if row.get("source"):
        yield f"  {_origin(row['source'])}"


def _origin(source: str) -> str:
    return f"called by: {source}" if source in MADE else f"imported: {source}"


def _ended(attempt: Row) -> str:
    latency = f"{attempt['latency_ms']:.0f}ms"
    if attempt["outcome"] == "ok":
        usage: Row = attempt.get("usage") or {}
        return f"{attempt['status']} OK {latency} {usage.get('input', 0) + usage.get('output', 0):,} tokens"
    if attempt["outcome"] == "status":
        return f"{attempt['status']} {attempt['error_code'] or ''} {latency}".replace("  ", " ")
    if attempt.get("error_code") == "budget_exceeded":
        return "not sent: over budget"
    return f"{attempt['outcome']} ({latency})"


def _stood(budget: Row) -> str:
    """As the policy saw it; what was spent includes what was reserved."""
    cheaper = f", then {budget['downgrade_to']}" if budget.get("downgrade_to") else ""
    return f"{money(budget['spent_usd'])} of {money(budget['cap_usd'])}{cheaper}"


def _cost(row: Row) -> str:
    if row["cost_usd"] is None:
        return f"unknown, as no price is known; charged {money(row['charged_usd'])}"
    charged = "" if row["charged_usd"] == row["cost_usd"] else f"; budgets were charged {money(row['charged_usd'])}"
    measured: Row = (row["trace"] or {}).get("measured") or {}
    if not measured.get("output_cost_usd"):
        return money(row["cost_usd"]) + charged
    output = measured["output_cost_usd"]
    return f"input {money(measured['cost_usd'] - output)} + output {money(output)}{charged}"


def _latency(row: Row) -> str:
    first = f"ttft_{row['ttft_ms']:.0f}ms " if row.get("ttft_ms") is not None else ""
    return f"{first}ttlt_{_ms(row['latency_ms'])}"


def _config(row: Row) -> str:
    slug = row["config"]
    return f"@{slug} (v{row['config_version']})" if slug else f"none (model {row['requested_model']!r})"


def _ms(value: float | None) -> str:
    """None: an imported row that does not tell."""
    return "-" if value is None else f"{value:.0f}ms"


def money(usd: float | str | None) -> str:
    """Six decimals: a call often costs less than a hundredth of a cent. None: no price is known."""
    return "unknown" if usd is None else f"${float(usd):.6f}"
