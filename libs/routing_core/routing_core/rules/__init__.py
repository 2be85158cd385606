"""Rules: a documented subset of CEL, type-checked at save, that can neither hang nor escape."""

from routing_core.rules.code import MAX_STEPS
from routing_core.rules.environment import environment
from routing_core.rules.rule import Rule, RuleError, compile_rule
from routing_core.rules.schema import SCHEMA

__all__ = ["MAX_STEPS", "SCHEMA", "Rule", "RuleError", "compile_rule", "environment"]
