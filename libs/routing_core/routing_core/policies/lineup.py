"""Put the targets of a policy in the order to try them, leaving out those whose circuit is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routing_core.flow import Candidate, Excluded
from routing_core.types import Target
from routing_core.world import World

POOL = 3
"""How many offers of one model (credentials, or providers) an attempt may go through."""
OPEN = "circuit open"
_PLACES = ("primary", "secondary", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True, slots=True)
class Link:
    """A target in the chain. Links of one `place` are offers of the same attempt: its key pool."""

    target: Target
    place: int
    label: str
    """What the selection reason calls it: `primary`, `second cheapest`, `secondary at azure`."""
    reason: str
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Lineup:
    """The chain, what was left out of it, and what is to be said before the first attempt ("primary circuit open")."""

    links: tuple[Link, ...]
    excluded: tuple[Excluded, ...] = ()
    prelude: str = ""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return tuple([Candidate(link.target, rank, link.reason) for rank, link in enumerate(self.links, 1)])


@dataclass(frozen=True, slots=True)
class Wish:
    """A model that a policy wants at one place, before it is resolved."""

    model: str
    credential_id: str | None
    timeout_ms: int | None
    label: str
    reason: str


def place_name(index: int) -> str:
    """`primary`, `secondary`, `third`, ..."""
    return _PLACES[index] if index < len(_PLACES) else f"attempt {index + 1}"


def line_up(wishes: Sequence[Wish], world: World) -> Lineup:
    """The open-circuit targets leave, and each wish keeps at most `POOL` offers. Where every circuit is open, the least bad stays."""
    links: list[Link] = []
    missing: list[Excluded] = []
    shut: list[Link] = []
    for place, wish in enumerate(wishes):
        offers = world.resolve(wish.model, wish.credential_id)
        if not offers:
            missing.append(Excluded(wish.model, unknown(wish.credential_id)))
        pool: list[Link] = []
        for offer in offers:
            target = offer.target
            if len(pool) == POOL:
                break
            if world.health_of(target).state == "open":
                shut.append(Link(target, place, wish.label, wish.reason, wish.timeout_ms))
            else:
                pool.append(in_pool(Link(target, place, wish.label, wish.reason, wish.timeout_ms), pool))
        links += pool
    return settle(links, shut, missing, world, _prelude(wishes, links[0].place, shut) if links else "")


def settle(
    links: Sequence[Link], shut: Sequence[Link], left_out: Sequence[Excluded], world: World, prelude: str = ""
) -> Lineup:
    """The lineup of `links`; where there are none, of the least bad of `shut`: better than to fail without trying."""
    if links or not shut:
        return Lineup(tuple(links), (*left_out, *[Excluded(link.target.name, OPEN) for link in shut]), prelude)
    chosen = least_bad([link.target for link in shut], world)
    link = next(link for link in shut if link.target == chosen)
    others = [Excluded(other.target.name, OPEN) for other in shut if other is not link]
    panicked = Link(chosen, link.place, link.label, "least bad, every circuit is open", link.timeout_ms)
    return Lineup((panicked,), (*left_out, *others), "every circuit open")


def least_bad(targets: Sequence[Target], world: World) -> Target:
    """The target with the lowest error rate, then the lowest latency, then the earliest."""

    def badness(target: Target) -> tuple[float, float]:
        health = world.health_of(target)
        return health.error_rate, health.p50_ms if health.p50_ms is not None else float("inf")

    return min(targets, key=badness)


def in_pool(link: Link, before: Sequence[Link]) -> Link:
    """The link as a later member of the key pool that starts with `before[0]`: its words tell the two apart."""
    if not before:
        return link
    target = link.target
    where = (
        f"at {target.provider}"
        if target.provider != before[0].target.provider
        else f"with credential {target.credential_id}"
    )
    return Link(target, link.place, f"{link.label} {where}", f"{link.reason} {where}", link.timeout_ms)


def unknown(credential_id: str | None) -> str:
    """Why a model that resolved to no offer is left out."""
    return f"credential {credential_id} does not offer it" if credential_id else "no credential offers it"


def _prelude(wishes: Sequence[Wish], first: int, shut: Sequence[Link]) -> str:
    """The places before the first usable one, and what became of them."""
    if not first:
        return ""
    closed = {link.place for link in shut}
    return ", ".join([f"{wishes[place].label} {OPEN if place in closed else 'not offered'}" for place in range(first)])
