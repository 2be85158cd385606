"""How judge runs look on a terminal. Texts of models are shown without what a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelux_cli.budget_text import table, usd

Row = dict[str, Any]
_MARGIN = "  "
_REASON = 70
VERDICTS = ("better", "equivalent", "worse")


def plain(text: str) -> str:
    """Without control and other invisible characters; line breaks stay."""
    return "".join(char for char in text if char.isprintable() or char in "\n\t")


def preflight_lines(found: Row) -> Iterator[str]:
    """What a run would do and cost."""
    buckets = ", ".join(f"{count:,} {name}" for name, count in found["effectiveByBucket"].items())
    yield f"{found['effectivePairCount']:,} pairs would be judged: {buckets}"
    yield f"{_MARGIN}estimated cost: {usd(found['estimatedCostUsd'])}, {usd(found['perCallEstimateUsd'])} a call"
    yield f"{_MARGIN}suggested cap: {usd(found['suggestedSpendCapUsd'])} of at most {usd(found['spendCapUsd'])}"
    yield f"{_MARGIN}rubric: {plain(found['rubric'])}"
    for note in found["notes"]:
        yield f"{_MARGIN}note: {plain(note)}"


def run_table(rows: Sequence[Row]) -> list[str]:
    """One line a judge run."""
    head = ("ID", "STATUS", "JUDGE", "PAIRS", "SPENT", "RUBRIC HASH", "CREATED")
    return table(head, [_listed(row) for row in rows])


def run_lines(row: Row) -> Iterator[str]:
    """Everything of one judge run."""
    yield f"{row['id']}  {_standing(row)}"
    yield f"{_MARGIN}judge: {plain(row['judge_model'])}, orders: {row['orders']}"
    yield f"{_MARGIN}rubric: {plain(row['rubric'])}"
    summary = row["summary"]
    if not summary:
        return
    yield ""
    yield f"{_MARGIN}{plain(summary['headline'])}"
    yield ""
    yield from (f"{_MARGIN}{line}" for line in _rates(summary))
    yield ""
    yield from (f"{_MARGIN}{line}" for line in _trust(summary))
    yield f"{_MARGIN}spent {usd(summary['spend_usd'])} on {summary['pairs_asked']:,} pairs"


def result_table(rows: Sequence[Row]) -> list[str]:
    """One line a judged pair."""
    head = ("ROW", "BUCKET", "SIMILARITY", "VERDICT", "ORDERS", "BASELINE", "CANDIDATE", "REASON")
    return table(head, [_result(row) for row in rows])


def agreement_lines(found: Row) -> Iterator[str]:
    """How far two runs agree."""
    if not found["pairs"]:
        yield "the runs have no judged pair in common"
        return
    yield f"{found['agreed']:,} of {found['pairs']:,} pairs have the same verdict ({found['agreement']:.0%})"
    if found["kappa"] is not None:
        low, high = (found["kappa_ci_95"][name] for name in ("lower", "upper"))
        yield f"{_MARGIN}kappa {found['kappa']:.2f} [{low:.2f}, {high:.2f}]"


def label_lines(row: Row) -> Iterator[str]:
    """What labels say of a run."""
    labels = row["summary"]["labels"]
    yield f"{labels['count']:,} of {labels['wanted']:,} pairs are labelled"
    yield f"{_MARGIN}{labels['reliability']}"
    for name in VERDICTS:
        rate = labels["ppi"][name]["rate"]
        if rate["value"] is not None:
            yield f"{_MARGIN}{name}, as people would say: {percent(rate)}"


def percent(found: Row | None) -> str:
    """A rate with its interval."""
    if found is None or found["lower"] is None or found["upper"] is None:
        return "not known"
    value = "?" if found["value"] is None else f"{100 * found['value']:.1f}"
    return f"{value} % [{100 * found['lower']:.1f}, {100 * found['upper']:.1f}]"


def _rates(summary: Row) -> list[str]:
    head = ("", *(name.upper() for name in VERDICTS), "PAIRS")
    rows = [("traffic", *(percent(summary["traffic"][name]) for name in VERDICTS), "")]
    sample, intervals = summary["verdict_breakdown"], summary["verdict_breakdown_ci_95"]
    told = (percent({"value": sample[name], **intervals[name]}) for name in VERDICTS)
    rows.append(("sample", *told, f"{summary['judged_count']:,}"))
    for bucket, found in summary["by_bucket"].items():
        shares = (_share(found["verdicts"][name]) for name in VERDICTS)
        rows.append((f"  {bucket}", *shares, f"{found['n']:,}"))
    return table(head, rows)


def _trust(summary: Row) -> Iterator[str]:
    if summary["orders"]["pairs_in_both"]:
        consistency, first = (percent(summary["orders"][name]) for name in ("consistency", "first_chosen"))
        yield f"both orders agree on {consistency}; the answer shown first wins {first}"
    without = {name: summary[name] for name in ("parse_errors", "steered", "failed", "interrupted")}
    if any(without.values()):
        words = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in without.items() if count)
        bounds = summary["bounds"]["worse"]
        low, high = (_share(bounds[name]["value"]) for name in ("all_better", "all_worse"))
        yield f"without a verdict: {words}; worse lies between {low} and {high} whatever they are"
    canaries = summary["canaries"]
    if canaries is not None:
        worth = "passes" if canaries["trustworthy"] else "FAILS"
        yield f"the judge {worth} its canaries"
    if summary["stopped_early"]:
        yield "it stopped early; its intervals hold all the same"
    if summary["labels"] is not None:
        yield plain(summary["labels"]["reliability"])


def _standing(row: Row) -> str:
    reason = plain(row["status_reason"])
    if row["status"] == "running":
        return f"running, {row['pairs_done']:,} of {row['pairs_total']:,} pairs{': ' + reason if reason else ''}"
    return f"{row['status']}: {reason}" if reason else str(row["status"])


def _listed(row: Row) -> tuple[str, ...]:
    pairs = f"{row['pairs_done']:,} of {row['pairs_total']:,}"
    spent = f"{usd(row['spend_usd'])} of {usd(row['spend_cap_usd'])}"
    return (
        str(row["id"]),
        str(row["status"]),
        plain(row["judge_model"]),
        pairs,
        spent,
        str(row["rubric_hash"])[:12],
        str(row["created_at"])[:16].replace("T", " "),
    )


def _result(row: Row) -> tuple[str, ...]:
    agree = {True: "agree", False: "disagree", None: "-"}[row["consistent"]]
    reason = " ".join(plain(row["reason"]).split())
    return (
        str(row["row"]),
        str(row["bucket"]),
        f"{row['similarity']:.3f}",
        str(row["verdict"]),
        agree,
        str(row["request_id"]),
        str(row["candidate_request_id"]),
        reason if len(reason) <= _REASON else reason[: _REASON - 1] + "…",
    )


def _share(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.1f} %"
