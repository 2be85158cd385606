"""Answer why a call was denied or downgraded, or what budgets would do to one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import budget_matching, budgets
from modelux_config.budget_accounts import account, cap_of, clock, current, untouched
from modelux_config.projects import find as find_project
from modelux_config.proxy_keys import find as find_key
from modelux_config.records import fill
from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError, invalid
from routing_core.money import dollars

_REQUEST_ID = re.compile(r"req_[0-9a-z]{26}")
_MAX_NEEDED = 10**18


async def explain_budget(scope: Scope, request: pb.ExplainBudgetRequest) -> pb.ExplainBudgetResponse:
    if not 0 <= request.needed_nano <= _MAX_NEEDED:
        hint = "Give what one call costs at most: 0 to 1,000,000,000 dollars."
        raise invalid(FieldError("neededUsd", f"{dollars(request.needed_nano)} is out of range", hint))
    now_us = await clock(scope)
    standings = [
        await _standing(scope, record, value, request.needed_nano, now_us)
        for record, value in await _matching(scope, request)
    ]
    return pb.ExplainBudgetResponse(
        standings=standings, would_pass=all(each.would_pass for each in standings), at_us=now_us
    )


async def _matching(scope: Scope, request: pb.ExplainBudgetRequest) -> list[tuple[pb.BudgetRecord, str]]:
    if request.budget_id:
        record = await budgets.find(scope, request.budget_id)
        return [(record, request.value if record.each else "")]
    facts = pb.ExplainBudgetRequest()
    facts.CopyFrom(request)
    if facts.key_id:
        key = await find_key(scope, facts.key_id)
        facts.project_id = facts.project_id or key.project_id
    if facts.project_id:
        await find_project(scope, facts.project_id)
    runs = {"experiment_id": facts.experiment_id, "judge_run_id": facts.judge_run_id}
    rows = await scope.rows("budgets", "all", project_id=facts.project_id, **runs)
    found = [budgets.read(row) for row in rows]
    if not budget_matching.any_facts(facts):
        return [(record, "") for record in found if not record.each]
    matched = [(record, budget_matching.value_for(record, facts)) for record in found]
    return [(record, value) for record, value in matched if value is not None]


async def _standing(scope: Scope, record: pb.BudgetRecord, value: str, needed: int, now_us: int) -> pb.BudgetStanding:
    bounds = current(record, now_us)
    rows = await scope.rows("budgets", "accounts_of", id=record.id, value=value, window_start_us=bounds[0])
    accounts = [account(row, now_us, cap_of(record, str(row["unit"]))) for row in rows]
    present = {each.unit for each in accounts}
    accounts += [each for each in untouched(record, value, bounds) if each.unit not in present]
    would_pass, reason, text = _verdict(record, accounts, needed, now_us)
    denials = []
    for row in await scope.rows("budgets", "denials", id=record.id, value=value):
        denial = fill(pb.BudgetDenial, row)
        named = _REQUEST_ID.search(denial.op_id)
        denial.request_id = named[0] if named else ""
        denials.append(denial)
    return pb.BudgetStanding(
        budget=record,
        value=value,
        accounts=accounts,
        would_pass=would_pass,
        reason=reason,
        text=text,
        denials=denials,
    )


def _verdict(
    record: pb.BudgetRecord, accounts: Sequence[pb.BudgetAccount], needed: int, now_us: int
) -> tuple[bool, str, str]:
    """Whether a call of this worst case would pass, the reason, and both in words."""
    if record.disabled:
        return True, "", "It is disabled and limits nothing."
    if record.action == "alert":
        return True, "", "It only alerts."
    for each in accounts:
        if each.aborted:
            return False, "run_aborted", "The run was aborted when it reached a limit."
        seconds = (now_us - each.started_at_us) // 1_000_000 if each.started_at_us else 0
        if record.HasField("max_duration_s") and seconds >= record.max_duration_s:
            return False, "too_long", f"It began {seconds:,} s ago and may last {record.max_duration_s:,} s."
        need = needed if each.unit == "usd" else 1
        if each.cap and (need > each.remaining or each.remaining == 0):
            told = f"{_amount(each.unit, each.remaining)} of {_amount(each.unit, each.cap)} remain"
            return False, "exceeded", f"{told}, and the call needs {_amount(each.unit, need)}."
    if record.action == "downgrade" and any(_used_ppm(each) >= record.downgrade_at_ppm for each in accounts):
        return True, "downgraded", f"It is used so far that calls are downgraded to {record.downgrade_to}."
    return True, "", "The call would pass."


def _used_ppm(each: pb.BudgetAccount) -> int:
    return (each.settled + each.overrun + each.leased) * 1_000_000 // each.cap if each.cap else 0


def _amount(unit: str, amount: int) -> str:
    return dollars(amount) if unit == "usd" else f"{amount:,} call{'s' if amount != 1 else ''}"
