"""All members at once, and one answer: by vote, by weighted vote, or the first that is valid."""

from __future__ import annotations

from collections.abc import Sequence

from routing_core.flow import Attempt, Decision, Excluded, Flow, Step
from routing_core.policies.answers import doubt, read
from routing_core.policies.chain import fault, nothing
from routing_core.policies.lineup import Lineup, Link, settle, unknown
from routing_core.shapes import Confidence, Ensemble, Member
from routing_core.types import Outcome, Request, Traits
from routing_core.world import World


def ensemble(policy: Ensemble, request: Request, world: World) -> Flow:
    """Each member asks its model's first offer with a closed circuit; members without one are left out.

    `voting` and `weighted` wait for all (or the timeout), group the answers by `answers.normalised` text and take the
    group with the most members or weight; a tie goes to the group with the earliest member. `first_valid` takes the
    first answer that shows what `valid` asks, and gives up the others. An answer that is not valid has no vote.
    """
    lineup, members = _assemble(policy, world)
    return _ask(policy, request, lineup, members)


def _assemble(policy: Ensemble, world: World) -> tuple[Lineup, list[Member]]:
    links: list[Link] = []
    shut: list[Link] = []
    left_out: list[Excluded] = []
    members: list[Member] = []
    for place, member in enumerate(policy.members):
        offers = world.resolve(member.model, member.credential_id)
        offer = next((offer for offer in offers if world.health_of(offer.target).state != "open"), None)
        if offer is not None:
            members.append(member)
            links.append(Link(offer.target, place, f"member {place + 1}", _reason(policy, member), member.timeout_ms))
        elif offers:
            target = offers[0].target
            shut.append(Link(target, place, f"member {place + 1}", _reason(policy, member), member.timeout_ms))
        else:
            left_out.append(Excluded(member.model, unknown(member.credential_id)))
    lineup = settle(links, shut, left_out, world)
    return lineup, members or [policy.members[link.place] for link in lineup.links]


def _reason(policy: Ensemble, member: Member) -> str:
    return f"member, weight {member.weight:g}" if policy.aggregation == "weighted" else "member"


def _ask(policy: Ensemble, request: Request, lineup: Lineup, members: Sequence[Member]) -> Flow:
    if not lineup.links:
        return nothing(lineup, "ensemble")
    valid = policy.valid
    race = policy.aggregation == "first_valid"
    outcomes = yield Step(
        tuple(
            [Attempt(k.target, k.timeout_ms, k.reason, m.weight) for k, m in zip(lineup.links, members, strict=True)]
        ),
        mode="race" if race else "all",
        until="body",
        timeout_ms=policy.timeout_ms,
        candidates=lineup.candidates,
        excluded=lineup.excluded,
        accept=(lambda outcome: not _fault(outcome, valid)) if race and valid else None,
    )
    prelude = f"{lineup.prelude}, " if lineup.prelude else ""
    if race:
        return _first(outcomes, valid, prelude)
    weights = [member.weight if policy.aggregation == "weighted" else 1.0 for member in members]
    return _vote(outcomes, weights, valid, request.request_id, prelude)


def _first(outcomes: Sequence[Outcome], valid: Confidence | None, prelude: str) -> Decision:
    traits = _read(outcomes, valid, "")
    faults = [_fault(outcome, valid, traits.get(index)) for index, outcome in enumerate(outcomes)]
    story = _story(outcomes, faults)
    chosen = next((index for index, why in enumerate(faults) if not why), None)
    if chosen is not None:
        word = "first valid answer" if valid else "first answer"
        return Decision(chosen, f"{prelude}{word}: member {chosen + 1}{story}", "ensemble", traits=traits)
    return _last_resort(outcomes, traits, prelude, story)


def _vote(
    outcomes: Sequence[Outcome], weights: Sequence[float], valid: Confidence | None, key: str, prelude: str
) -> Decision:
    traits = _read(outcomes, valid, key)
    faults = [_fault(outcome, valid, traits.get(index)) for index, outcome in enumerate(outcomes)]
    story = _story(outcomes, faults)
    groups: dict[str, list[int]] = {}
    for index, why in enumerate(faults):
        if not why:
            groups.setdefault(traits[index].digest, []).append(index)
    if not groups:
        return _last_resort(outcomes, traits, prelude, story)
    # max keeps the first of equals: the group with the earliest member
    winner = max(groups.values(), key=lambda group: sum(weights[index] for index in group))
    share, whole = sum(weights[index] for index in winner), sum(weights)
    if len(winner) > 1:
        reason = f"{share:g} of {whole:g} agree"
    elif len(groups) > 1:
        reason = f"no two agree, member {winner[0] + 1} with weight {share:g} of {whole:g} stands"
    else:
        reason = f"only member {winner[0] + 1} answered"
    return Decision(winner[0], f"{prelude}{reason}{story}", "ensemble", traits=traits)


def _last_resort(outcomes: Sequence[Outcome], traits: dict[int, Traits], prelude: str, story: str) -> Decision:
    """Nothing valid: an answer that is not stands all the same; a caller is better served with it than with none."""
    chosen = next((index for index, outcome in enumerate(outcomes) if outcome.ok), None)
    if chosen is None:
        return Decision(None, f"{prelude}no member answered{story}", "ensemble", code="attempts_failed")
    return Decision(chosen, f"{prelude}no valid answer, member {chosen + 1} stands{story}", "ensemble", traits=traits)


def _read(outcomes: Sequence[Outcome], valid: Confidence | None, key: str) -> dict[int, Traits]:
    found = [(index, outcome.answer) for index, outcome in enumerate(outcomes) if outcome.ok]
    return {index: read(answer, valid, key=key) for index, answer in found if answer is not None}


def _fault(outcome: Outcome, valid: Confidence | None, traits: Traits | None = None) -> str:
    """Why the outcome has no vote; empty where it has."""
    if not outcome.ok:
        return fault(outcome)
    if outcome.answer is None:
        return "unread"
    return doubt(valid, outcome.answer, traits or read(outcome.answer, valid))


def _story(outcomes: Sequence[Outcome], faults: Sequence[str]) -> str:
    """What became of the members without a vote; those that lost a race are no news."""
    told = [f"member {i + 1} {why}" for i, why in enumerate(faults) if why and outcomes[i].kind != "cancelled"]
    return f"; {', '.join(told)}" if told else ""
