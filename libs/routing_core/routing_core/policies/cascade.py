"""Models in order, the cheap one first: the first that succeeds and, where it has a rule, is believed."""

from __future__ import annotations

from routing_core.flow import Abandoned, Attempt, Decision, Flow, Step
from routing_core.policies.answers import doubt, read
from routing_core.policies.chain import failed, fault, following, nothing
from routing_core.policies.lineup import Lineup, line_up
from routing_core.shapes import Cascade, Confidence
from routing_core.types import Outcome, Request, Traits
from routing_core.world import World


def cascade(policy: Cascade, request: Request, world: World) -> Flow:
    """A failure goes on as in a fallback; a success that misses its `confidence` rule goes on to the next model.

    The last answer stands even where it misses its rule; where all models behind an answer fail, that answer stands: a
    caller is better served with a doubted answer than with none. So it does where the run is given up behind it. An
    attempt with a rule is read whole before the decision, one without a rule may stream at once.
    """
    lineup = line_up(policy.attempts, world, "escalation")
    rules = [item.confidence for item in policy.attempts]
    return _climb(lineup, rules, policy.retry_on)


def _climb(lineup: Lineup, rules: list[Confidence | None], retry_on: frozenset[str]) -> Flow:
    links = lineup.chain
    if not links:
        return nothing(lineup, "cascade")
    story = [lineup.prelude] if lineup.prelude else []
    traits: dict[int, Traits] = {}
    standing: int | None = None
    current: int | None = 0
    why, made, last = "", 0, 0
    while current is not None:
        link, rule, last = links[current], rules[links[current].place], current
        logprobs = rule is not None and rule.min_logprob_mean is not None
        step = Step(
            (Attempt(link.target, link.timeout_ms, f"after {why}" if made else link.reason, logprobs=logprobs),),
            until="body" if rule else "head",
            candidates=() if made else lineup.candidates,
            excluded=() if made else lineup.excluded,
        )
        try:
            (outcome,) = yield step
        except Abandoned as given_up:
            if standing is None:
                raise
            return Decision(standing, _kept(str(given_up)), "cascade", traits=traits)
        made += 1
        why = _weigh(outcome, rule, traits, made - 1)
        if not why:
            return Decision(made - 1, _told(story, link.label, rule), "cascade", traits=traits)
        story.append(f"{link.label} {why}")
        if outcome.ok:
            standing = made - 1
            current = next((i for i in range(current, len(links)) if links[i].place > link.place), None)
        else:
            current = following(links, current, outcome, retry_on)
        if standing is not None and current == len(lineup.links):
            current = None  # an answer in hand is better than what an open circuit may bring
    if standing is None:
        return failed(story, "cascade", exhausted=last + 1 == len(links))
    return Decision(standing, f"{', '.join(story)}; {_STANDS[standing == made - 1]}", "cascade", traits=traits)


_STANDS = {True: "the last answer stands", False: "the last answer given stands"}


def _kept(why: str) -> str:
    """Why an answer in hand is returned without trying further. A replay gives up with these very words."""
    return why if why.endswith(_STANDS[False]) else f"{why}; {_STANDS[False]}"


def _weigh(outcome: Outcome, rule: Confidence | None, traits: dict[int, Traits], index: int) -> str:
    """Why to go on, empty to stop here; notes what was read of the answer."""
    if not outcome.ok:
        return fault(outcome)
    if rule is None:
        return ""
    if outcome.answer is None:
        return "unread"
    traits[index] = read(outcome.answer, rule)
    return doubt(rule, outcome.answer, traits[index])


def _told(story: list[str], label: str, rule: Confidence | None) -> str:
    return ", ".join([*story, f"{label} {'confident' if rule else 'healthy'}"])
