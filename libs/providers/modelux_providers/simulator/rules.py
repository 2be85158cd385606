"""Choose the rules of a scenario that hold for a call."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from modelux_providers.simulator.scenario import Match, Rule
from modelux_providers.simulator.words import Ask, draw


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the credential and its fingerprint, and what the headers ask of the simulator."""

    key: str
    fingerprint: str
    headers: list[tuple[bytes, bytes]]
    named: str
    idempotency_key: str
    refused: str  # a mark when the credential is not accepted


class Chooser:
    """Applies rules and counts for `skip` and `times` how often each one matched."""

    def __init__(self, seed: int, rules: tuple[Rule, ...]) -> None:
        self._seed = seed
        self._rules = rules
        self._matched = [0] * len(rules)

    def candidates(self, ask: Ask, path: str) -> tuple[int, ...]:
        """The rules that can hold for equal requests: those whose model, path, prompt, dialect and stream match."""
        return tuple(number for number, rule in enumerate(self._rules) if _fits(rule.match, ask, path))

    def chosen(
        self, candidates: tuple[int, ...], caller: Caller, at_s: float, digest: bytes, times: int
    ) -> tuple[int, ...]:
        """The rules that hold now; a draw depends on the seed, the rule, the request's bytes and how often it came."""
        return tuple(number for number in candidates if self._holds(number, caller, at_s, digest, times))

    def _holds(self, number: int, caller: Caller, at_s: float, digest: bytes, times: int) -> bool:
        rule = self._rules[number]
        if not rule.window.holds(at_s) or not _called_by(rule.match, caller):
            return False
        self._matched[number] += 1
        nth = self._matched[number] - rule.skip
        if nth <= 0 or (rule.times is not None and nth > rule.times):
            return False
        return rule.rate >= 1.0 or draw(self._seed, number, digest.hex(), times) < rule.rate


def _fits(match: Match, ask: Ask, path: str) -> bool:
    return (
        (not match.model or fnmatchcase(ask.model, match.model))
        and match.path in path
        and match.prompt in ask.text
        and (not match.dialect or match.dialect == ask.dialect)
        and (match.stream is None or match.stream == ask.stream)
    )


def _called_by(match: Match, caller: Caller) -> bool:
    if match.key and match.key not in (caller.key, caller.fingerprint):
        return False
    if not match.header:
        return True
    name, _, part = match.header.partition(":")
    wanted, text = name.strip().lower().encode(), part.strip().encode()
    return any(given == wanted and text in value for given, value in caller.headers)
