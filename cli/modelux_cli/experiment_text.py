"""How experiments look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from modelux_cli.budget_text import table, usd
from modelux_cli.pass_if import told

Row = dict[str, Any]
Line = tuple[str, str, str, str, str]
Metric = tuple[str, str, Callable[[float | None], str], float]
"""How it is called, where the API has it, how it is written, and by what it is multiplied."""
_HEAD: Line = ("", "CURRENT", "CANDIDATE", "DELTA", "95% INTERVAL")
_MARGIN = "  "


def experiment_table(rows: Sequence[Row]) -> list[str]:
    """One line an experiment."""
    head = ("ID", "NAME", "STATUS", "CANDIDATE", "WINDOW", "REQUESTS", "CREATED")
    return table(head, [_listed(row) for row in rows])


def experiment_lines(row: Row, width: int | None = None) -> Iterator[str]:
    """Everything of one experiment. `width`: of the terminal, None for none."""
    yield f"{row['id']}  {row['name']}  {_standing(row)}"
    if row["hypothesis"]:
        yield f"{_MARGIN}hypothesis: {row['hypothesis']}"
    yield f"{_MARGIN}candidate: {named_candidate(row)}"
    wanted = _wanted(row["filter"])
    if wanted:
        yield f"{_MARGIN}only: {wanted}"
    for made in row["promotions"]:
        yield f"{_MARGIN}promoted: {_promoted(made)}, {made['at']}"
    if row["spend_cap_usd"]:
        yield f"{_MARGIN}spent: {usd(row['spent_usd'])} of {usd(row['spend_cap_usd'])}"
    if row["sentence"]:
        yield from outcome_lines(row, width)
    else:
        yield f"{_MARGIN}window: {_window(row)}"
    yield from _verdict(row)


def outcome_lines(row: Row, width: int | None = None, *, per_run: bool = True) -> Iterator[str]:
    """What a completed experiment found, as on the product's page; with `per_run` also what runs take."""
    coverage, runs = row["coverage"], row["runs"]
    facts = {"runs_replayed": f"{runs['count']:,}"} if runs else {}
    facts |= {"requests": f"{coverage['rows']:,}", "window": _window(row)}
    yield ""
    yield from (f"{_MARGIN}{name:<15} {value}" for name, value in facts.items())
    yield ""
    if coverage["evaluable"]:
        yield from _columns(_compared(row, per_run=per_run), width)
        yield ""
    yield f"{_MARGIN}{row['sentence']}"
    if row["similarity"]:
        yield f"{_MARGIN}answers: {row['similarity']['sentence']}, by {row['similarity']['embedder'] or 'no embedder'}"
    if row["stopped_early"]:
        yield f"{_MARGIN}stopped early: {row['stopped_early']['sentence']}"
    yield f"{_MARGIN}evidence: {_evidence(coverage)}"
    yield f"{_MARGIN}self-check: {row['self_check']['sentence']}"
    if row["projection"]:
        percent, pairs = row["projection"]["cost_percent"], row["projection"]["pairs"]
        told = f"cost {_change(percent['value'], '%')} {_between(percent)} with what is not known of its tokens"
        rests = f" after {pairs:,} calls of both models ({row['projection']['evidence']})" if pairs else ""
        yield f"{_MARGIN}projection: {told}{rests}"
    if row["off_policy"]:
        yield f"{_MARGIN}live split: {row['off_policy']['sentence']}"
    if row["cost_bounds"]:
        low, high = (cost(row["cost_bounds"][f"{end}_total_cost_usd"]) for end in ("lowest", "highest"))
        yield f"{_MARGIN}escalations: the candidate costs {low} to {high} in all, by how many calls escalate"
    if runs:
        yield f"{_MARGIN}runs: {runs['refusal'] or runs['assumes']}"


def next_lines(row: Row) -> Iterator[str]:
    """What to do with a completed experiment that found something."""
    if not row["coverage"]["evaluable"]:
        return
    yield ""
    yield f"{_MARGIN}promote   modelux experiments promote {row['id']}"
    yield f"{_MARGIN}diff      modelux experiments results {row['id']} --sort cost_delta_desc"


def promoted_lines(made: Row) -> Iterator[str]:
    """Where the candidate went, and the way back."""
    yield f"{_promoted(made)} is live"
    yield f"{_MARGIN}to go back: modelux rollback {made['routing_config_id']}"


def preflight_lines(found: Row) -> Iterator[str]:
    estimate = found["estimate"]
    rows, replayed = estimate["rowCountInWindow"], estimate["effectiveSampleSize"]
    calls, cost_usd = estimate["calls"], estimate["estimatedCostUsd"]
    yield f"{rows:,} requests in the window, {replayed:,} of them replayed" + (f", {calls:,} called" if calls else "")
    yield f"estimated cost {usd(cost_usd)}" + (f", {usd(estimate['perCallEstimateUsd'])} a call" if calls else "")
    if estimate["embeddingCostUsd"]:
        yield f"comparing the answers {usd(estimate['embeddingCostUsd'])} more"
    if calls:
        allowed = usd(found["spendCapUsd"])
        yield f"suggested: --spend-cap {found['suggestedSpendCapUsd']:g}; the project allows {allowed}"
    if found["requiresConfirmation"]:
        yield f"the cap is below {found['autoCancelRatio']:g} times the estimate: it may end the experiment early"
    if estimate["detectableCostPercent"]:
        rate, percent = estimate["detectableRatePoints"], estimate["detectableCostPercent"]
        told = f"likely to show changes of the mean cost from {percent:.1f}%"
        yield told + (f" and of rates from {rate:.1f} percentage points on" if rate else " on")
    yield from estimate["notes"]


def result_table(rows: Sequence[Row]) -> list[str]:
    """One line a replayed request."""
    head = ("TIME", "REQUEST", "EVIDENCE", "CURRENT", "CANDIDATE", "COST", "CHANGE", "LATENCY", "CHANGE", "SIMILARITY")
    return table(head, [_result(row) for row in rows])


def histogram_lines(found: Row, width: int = 78) -> Iterator[str]:
    """The headline, and a bar for each bucket where there are scores."""
    yield found["headline"]
    most = max((bucket["count"] for bucket in found["buckets"]), default=0)
    if not most:
        return
    room = max(min(width, 78) - 22, 1)
    for bucket in found["buckets"]:
        filled = math.ceil(bucket["count"] / most * room)
        yield f"{_MARGIN}{bucket['lower']:.1f}-{bucket['upper']:.1f} {bucket['count']:>9,} {'#' * filled}".rstrip()
    ends = found["agreement_ci_95"]
    yield f"{_MARGIN}agreement {found['agreement'] * 100:.1f}%, 95% interval {_between(ends, 100)}"
    yield f"{_MARGIN}mean {found['mean_similarity']:.3f}; {found['unscored']:,} pairs are not scored"


def named_candidate(row: Row) -> str:
    """`@slug:version`, `single gpt-4o-mini`, or the name of the strategy."""
    if row["candidate_reference"]:
        return str(row["candidate_reference"])
    written = row["candidate_config"]
    if not isinstance(written, dict):
        return str(written)
    strategy = row["candidate_policy"] or written.get("strategy", "")
    return f"{strategy} {written['model']}" if strategy == "single" and "model" in written else str(strategy)


def cost(amount: float | None) -> str:
    """Dollars with four decimals, smaller ones with three digits that count."""
    return "$0" if amount == 0 else _dollars(amount, _decimals(amount))


def latency(ms: float | None) -> str:
    """`420ms`, `8.21s`."""
    if ms is None:
        return "-"
    return f"{ms / 1000:.2f}s" if abs(ms) >= 1000 else f"{ms:.0f}ms"


def _verdict(row: Row) -> Iterator[str]:
    """What it was to show, and whether it does; with several criteria also what each shows."""
    if row["success_criteria"]:
        yield f"{_MARGIN}passes if: {told(row['success_criteria'])}"
    facts = row["verdict_facts"]
    if not facts:
        return
    several = facts.get("predicates", [])
    if len(several) > 1:
        yield from (f"{_MARGIN}{_MARGIN}{each['outcome']}: {each['sentence']}" for each in several)
    yield f"{_MARGIN}verdict: {facts['sentence']}"


def _compared(row: Row, *, per_run: bool) -> Iterator[Line]:
    before, after, deltas, runs = (row[name] for name in ("baseline_summary", "candidate_summary", "deltas", "runs"))
    if runs:
        sides = _costs(runs["baseline_mean_cost_usd"], runs["candidate_mean_cost_usd"])
        interval = _between(runs["metrics"]["cost_usd"]["percent"]) if runs["metrics"] else ""
        yield ("mean cost/run", *sides, _change(runs["cost_percent"], "%"), interval)
    sides = _costs(before["mean_cost_usd"], after["mean_cost_usd"])
    percent = deltas["cost_usd"]["percent"]
    yield ("mean cost/request", *sides, _change(percent["value"], "%"), _between(percent))
    for name, metric, shown, scale in _METRICS:
        unit = "percentage_points" if metric == "error_rate" else "percent"
        key = "mean_output_tokens" if metric == "output_tokens" else metric
        delta = deltas[metric][unit]
        values = [None if side[key] is None else side[key] * scale for side in (before, after)]
        change = _change(delta["value"], "pp" if unit == "percentage_points" else "%")
        yield (name, shown(values[0]), shown(values[1]), change, _between(delta))
    if runs and runs["metrics"]:
        yield from _of_runs(runs["metrics"], _RUN_METRICS if per_run else _RUN_METRICS[-1:])


def _of_runs(metrics: Row, shown_ones: Sequence[Metric]) -> Iterator[Line]:
    """What runs take and reach, beside their costs."""
    for name, metric, shown, scale in shown_ones:
        found = metrics[metric]
        unit = "percentage_points" if metric == "success" else "percent"
        values = [None if found[side]["value"] is None else found[side]["value"] * scale for side in _SIDES]
        change = _change(found[unit]["value"], "pp" if metric == "success" else "%")
        yield (name, shown(values[0]), shown(values[1]), change, _between(found[unit]))


def _costs(*sides: float | None) -> tuple[str, str]:
    """Two amounts with equally many decimals."""
    decimals = max(_decimals(each) for each in sides)
    before, after = (_dollars(each, decimals) for each in sides)
    return before, after


def _decimals(amount: float | None) -> int:
    if not amount or abs(amount) >= 0.01:
        return 4
    return min(2 - math.floor(math.log10(abs(amount))), 12)


def _dollars(amount: float | None, decimals: int) -> str:
    return "-" if amount is None else f"{'-' if amount < 0 else ''}${abs(amount):,.{decimals}f}"


def _columns(rows: Iterator[Line], width: int | None) -> Iterator[str]:
    """Numbers stand to the right. A terminal too narrow for the intervals is spared them."""
    lines = [_HEAD, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(5)]
    shown = 5 if width is None or sum(widths) + 2 * 5 <= width else 4
    for line in lines:
        numbers = (cell.rjust(size) for cell, size in zip(line[1:shown], widths[1:shown], strict=True))
        yield f"{_MARGIN}{'  '.join((line[0].ljust(widths[0]), *numbers))}".rstrip()


def _change(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}{unit}" if unit == "pp" else f"{value:+.1f}{unit}"


def _between(found: Row, scale: float = 1.0) -> str:
    lower, upper = found["lower"], found["upper"]
    if lower is None and upper is None:
        return "unknown"
    low, high = ("?" if end is None else f"{end * scale:.1f}" for end in (lower, upper))
    return f"[{low}, {high}]"


def _evidence(coverage: Row) -> str:
    kinds = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in coverage["evidence"].items() if count)
    share = coverage["cost_weighted"] * 100
    told = f"{coverage['evaluable']:,} of {coverage['rows']:,} requests ({share:.1f}% of the cost)"
    drawn = f", drawn evenly from {coverage['rows_in_window']:,}" * (coverage["rows_in_window"] > coverage["rows"])
    drawn += f", {coverage['excluded']:,} more cannot be compared" * bool(coverage["excluded"])
    return f"{told}{drawn}" + (f": {kinds}" if kinds else "")


def _standing(row: Row) -> str:
    if row["status"] == "running" and row["rows_total"]:
        return f"running, {row['progress'] * 100:.0f}%"
    return f"{row['status']}: {row['status_reason']}" if row["status_reason"] else str(row["status"])


def _listed(row: Row) -> tuple[str, ...]:
    rows = f"{row['rows_total']:,}" if row["rows_total"] else "-"
    status = f"running {row['progress'] * 100:.0f}%" if row["status"] == "running" else row["status"]
    return (row["id"], row["name"], status, named_candidate(row), _window(row), rows, f"{row['created_at'][:19]}Z")


def _window(row: Row) -> str:
    return f"{row['window_start']} to {row['window_end']}"


def _wanted(chosen: Row) -> str:
    plain = [f"{name} {value}" for name, value in chosen.items() if value and name != "tags"]
    return ", ".join([*plain, *(f"tag {key}={value}" for key, value in chosen["tags"].items())])


def _promoted(made: Row) -> str:
    share = f" for {made['weight'] * 100:g}% of the traffic" if made["mode"] == "ab_test" else ""
    return f"@{made['slug']}:{made['version']}{share}"


def _result(row: Row) -> tuple[str, ...]:
    before, after = row["baseline"], row["candidate"]
    models = (_answered(side) for side in (before, after))
    money = cost(after["cost_usd"]), cost(row["cost_delta_usd"])
    time = latency(after["latency_ms"]), latency(row["latency_delta_ms"])
    alike = "-" if row["similarity"] is None else f"{row['similarity']:.3f}"
    return (row["timestamp"], row["request_id"], row["evidence"].replace("_", " "), *models, *money, *time, alike)


def _answered(side: Row) -> str:
    """The model, or why there was no answer."""
    if side["status"] == "error":
        return f"{side['model'] or '-'} ({side['error_code'] or 'error'})"
    return side["model"] or "-"


def _count(count: float | None) -> str:
    return "-" if count is None else f"{count:,.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}%"


_METRICS: Sequence[Metric] = (
    ("p50 latency", "p50_latency_ms", latency, 1.0),
    ("p95 latency", "p95_latency_ms", latency, 1.0),
    ("error rate", "error_rate", _percent, 100.0),
    ("output tokens", "output_tokens", _count, 1.0),
)
_RUN_METRICS: Sequence[Metric] = (
    ("calls/run", "calls", _count, 1.0),
    ("tokens/run", "tokens", _count, 1.0),
    ("p50 latency/run", "p50_latency_ms", latency, 1.0),
    ("p95 latency/run", "p95_latency_ms", latency, 1.0),
    ("runs without error", "success", _percent, 100.0),
)
_SIDES = ("baseline", "candidate")
