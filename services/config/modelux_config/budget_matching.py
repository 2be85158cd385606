"""Which budgets hold for a request, and under which value it is counted."""

from __future__ import annotations

from collections.abc import Mapping

from modelux.config.v1 import admin_pb2 as pb
from routing_core.budgets import account_value


def value_for(record: pb.BudgetRecord, facts: pb.ExplainBudgetRequest) -> str | None:
    """The value of the account that the request is counted in ("" without `each`); None: the budget does not hold."""
    if record.project_id and record.project_id != facts.project_id:
        return None
    if record.scope == "tag":
        name, _, wanted = record.scope_key.partition("=")
        found = facts.tags.get(name, "")
    else:
        found, wanted = _facts(facts)[record.scope], record.scope_key or record.project_id
    if record.each:
        return account_value(found) if found else None
    return "" if record.scope == "organization" or (found and found == wanted) else None


def any_facts(facts: pb.ExplainBudgetRequest) -> bool:
    return bool(facts.tags) or any(_facts(facts).values())


def _facts(facts: pb.ExplainBudgetRequest) -> Mapping[str, str]:
    return {
        "organization": "",
        "project": facts.project_id,
        "key": facts.key_id,
        "end_user": facts.end_user,
        "provider": facts.provider,
        "model": facts.model.partition(":")[0],
        "experiment": facts.experiment_id,
        "judge_run": facts.judge_run_id,
    }
