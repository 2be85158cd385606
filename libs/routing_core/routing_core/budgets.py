"""Find the budgets that a call draws on, and the meters on which its worst case has to be reserved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

from routing_core.ledger.meters import Meter, Want
from routing_core.records import record
from routing_core.types import Request, Target

Scope = Literal["organization", "project", "key", "tag", "end_user", "provider", "model", "experiment", "judge_run"]
Action = Literal["block", "downgrade", "alert"]
MAX_VALUE = 256
"""Characters of an account's value; a longer one goes by its digest, so that no length escapes a cap."""
_MAX_KEPT = 10_000


@record
class BudgetRule:
    """A spend cap, or the guard of a run; the fields are those of `Budget` in the configuration's snapshot."""

    id: str
    scope: Scope
    organization_id: str = ""
    project_id: str = ""
    """Empty: all of the organization."""
    name: str = ""
    scope_key: str = ""
    """What of the scope it holds for; of a tag `key=value`, or `key` alone. Empty: everything that has one."""
    each: bool = False
    """An account of its own for every value."""
    cap_nano: int | None = None
    max_calls: int | None = None
    max_duration_s: int | None = None
    action: Action = "block"
    downgrade_to: str = ""
    downgrade_at_ppm: int = 0
    loop_calls: int = 0

    @property
    def hard(self) -> bool:
        return self.action != "alert"

    @property
    def counts_calls(self) -> bool:
        """Whether it has a meter of calls: of their number, or of the time since the first."""
        return self.max_calls is not None or self.max_duration_s is not None


class Applied(NamedTuple):
    """A rule that holds for a call, and the value whose account it draws on (empty without `each`)."""

    rule: BudgetRule
    value: str


class Draw:
    """All that one call draws on, made ready to reserve from."""

    __slots__ = ("applied", "calls", "capped", "hard", "hard_capped", "loops", "usd")

    def __init__(self, applied: Sequence[Applied]) -> None:
        self.applied = tuple(applied)
        self.capped = tuple([each for each in applied if each.rule.cap_nano is not None])
        self.usd = tuple([_meter(each, "usd") for each in self.capped])
        self.calls = tuple([Want(_meter(each, "calls"), 1) for each in applied if each.rule.counts_calls])
        self.hard = any(
            each.rule.hard and (each.rule.cap_nano is not None or each.rule.counts_calls) for each in applied
        )
        """Whether anything of it refuses calls."""
        self.hard_capped = any(each.rule.hard for each in self.capped)
        """Whether money is capped, and not only calls or time: what has no price cannot be let out then."""
        self.loops = tuple([each for each in applied if each.rule.loop_calls])
        """The guards of runs that look for repeated calls."""

    def wants(self, bound_nano: int) -> tuple[Want, ...]:
        """What to reserve for one attempt: its worst case (at least 1) of money, and one call."""
        amount = bound_nano if bound_nano > 0 else 1
        wants = [Want(meter, amount) for meter in self.usd]
        return (*wants, *self.calls) if self.calls else tuple(wants)

    def amounts(self, cost_nano: int) -> list[int]:
        """What an attempt cost, in the order of `wants`."""
        return [cost_nano] * len(self.usd) + [1] * len(self.calls)

    def hard_only(self) -> Draw:
        """Without the budgets that only alert."""
        return Draw([each for each in self.applied if each.rule.hard])

    def without(self, budget_id: str) -> Draw:
        """Without a budget that is there no more."""
        return Draw([each for each in self.applied if each.rule.id != budget_id])


NOTHING = Draw(())


class Matcher:
    """The rules that may hold for the requests of one key. What does not depend on the request is made ready once."""

    __slots__ = ("_by_request", "_by_target", "_draws", "_targets", "static")

    def __init__(
        self, fixed: Sequence[Applied], by_request: Sequence[BudgetRule], by_target: Sequence[BudgetRule]
    ) -> None:
        self.static = Draw(fixed)
        """What every request draws on, wherever it goes."""
        self._by_request = tuple(by_request)
        self._by_target = tuple(by_target)
        self._draws: dict[tuple[str, ...], Draw] = {}
        """By what the request says to the rules; the calls of one run come one after the other."""
        self._targets: dict[Target, Draw] = {}

    def __bool__(self) -> bool:
        return bool(self.static.applied or self._by_request or self._by_target)

    def for_request(self, request: Request, ids: Mapping[str, str] | None = None) -> Draw:
        """What every attempt of the request draws on.

        `ids` name the `experiment` and the `judge_run` that it is made for; callers of the proxy name them by tags
        (`experiment_id`, `judge_run_id`).
        """
        if not self._by_request:
            return self.static
        values = tuple([_VALUES[rule.scope](rule, request) for rule in self._by_request])
        if ids is not None:
            given = zip(values, self._by_request, strict=True)
            values = tuple([value or ids.get(rule.scope, "") for value, rule in given])
        known = self._draws.get(values)
        if known is None:
            if len(self._draws) >= _MAX_KEPT:
                self._draws.clear()
            known = self._draws[values] = self._draw(values)
        return known

    def _draw(self, values: Sequence[str]) -> Draw:
        given = zip(self._by_request, values, strict=True)
        found = [_held(rule, _wanted(rule), value) for rule, value in given if value]
        held = [applied for applied in found if applied is not None]
        return Draw((*self.static.applied, *held)) if held else self.static

    def anywhere(self) -> Iterable[Applied]:
        """The budgets of single providers and models, which hold for some attempts; not those with a value each."""
        return [Applied(rule, "") for rule in self._by_target if not rule.each]

    def for_target(self, draw: Draw, target: Target) -> Draw:
        """What an attempt at `target` draws on; `draw` is the request's own."""
        if not self._by_target:
            return draw
        if draw is not self.static:
            return Draw((*draw.applied, *self._at(target)))
        known = self._targets.get(target)
        if known is None:
            if len(self._targets) >= _MAX_KEPT:
                self._targets.clear()
            known = self._targets[target] = Draw((*draw.applied, *self._at(target)))
        return known

    def _at(self, target: Target) -> list[Applied]:
        found = []
        for rule in self._by_target:
            if rule.scope == "provider":
                applied = _held(rule, rule.scope_key, target.provider)
            elif rule.scope_key == target.name:
                applied = _held(rule, target.name, target.name)
            else:
                applied = _held(rule, rule.scope_key, target.model)
            if applied is not None:
                found.append(applied)
        return found


def compile_rules(rules: Iterable[BudgetRule], organization_id: str, project_id: str, key_id: str) -> Matcher:
    """The rules that may hold for requests made with this key."""
    static = {"organization": organization_id, "project": project_id, "key": key_id}
    fixed: list[Applied] = []
    by_request: list[BudgetRule] = []
    by_target: list[BudgetRule] = []
    for rule in rules:
        if rule.organization_id != organization_id or rule.project_id not in ("", project_id):
            continue
        if rule.scope in static:
            applied = _held(rule, rule.scope_key, static[rule.scope])
            if applied is not None:
                fixed.append(applied)
        elif rule.scope in ("provider", "model"):
            by_target.append(rule)
        else:
            by_request.append(rule)
    return Matcher(fixed, by_request, by_target)


def _held(rule: BudgetRule, wanted: str, value: str) -> Applied | None:
    """The rule as it holds for a value of its scope; None: it does not."""
    if wanted and wanted != value:
        return None
    return Applied(rule, account_value(value) if rule.each else "")


def account_value(value: str) -> str:
    """How a value names an account of an `each` budget."""
    if len(value) <= MAX_VALUE:
        return value
    return "sha256:" + sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _meter(applied: Applied, unit: str) -> Meter:
    return Meter(applied.rule.id, applied.value, unit)


def _wanted(rule: BudgetRule) -> str:
    return rule.scope_key.partition("=")[2] if rule.scope == "tag" else rule.scope_key


def _tag(rule: BudgetRule, request: Request) -> str:
    return request.tags.get(rule.scope_key.partition("=")[0], "")


_VALUES: Mapping[str, Callable[[BudgetRule, Request], str]] = {
    "tag": _tag,
    "end_user": lambda rule, request: request.end_user_id or "",
    "experiment": lambda rule, request: request.tags.get("experiment_id", ""),
    "judge_run": lambda rule, request: request.tags.get("judge_run_id", ""),
}
"""What a request says of itself; empty where it says nothing, and then the rule does not hold."""
