"""Put the targets of a policy in the order to try them, leaving out those whose circuit is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from routing_core.breaker import CREDENTIAL_REFUSED, RATE_LIMITED
from routing_core.flow import Candidate, Excluded
from routing_core.health import panic
from routing_core.records import record
from routing_core.shapes import Try
from routing_core.types import Target
from routing_core.world import World

POOL = 3
"""How many offers of one model (credentials, or providers) an attempt may go through."""
OPEN = "circuit open"
_KEPT = 10_000
APART = -1
"""The place of a link that shares its attempt with no other."""
_PLACES = ("primary", "secondary", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@record
class Link:
    """A target in the chain. Links of one `place` are offers of the same attempt: its key pool."""

    target: Target
    place: int
    label: str
    """What the selection reason calls it: `primary`, `second cheapest`, `secondary at azure`."""
    reason: str
    timeout_ms: int | None = None


@record
class Lineup:
    """The chain, what was left out of it, what is to be said before the first attempt ("primary circuit open"), and the
    least bad of those left out for their open circuit: when all others have failed, it is better than nothing.
    """

    links: tuple[Link, ...]
    excluded: tuple[Excluded, ...] = ()
    prelude: str = ""
    last_resort: Link | None = None
    listed: tuple[Candidate, ...] | None = None
    """Its candidates, where they were made already."""

    @property
    def chain(self) -> tuple[Link, ...]:
        """What to try, one after the other."""
        return self.links if self.last_resort is None else (*self.links, self.last_resort)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        if self.listed is not None:
            return self.listed
        return tuple([Candidate(link.target, rank, link.reason) for rank, link in enumerate(self.links, 1)])


def place_name(index: int) -> str:
    """`primary`, `secondary`, `third`, ..."""
    return _PLACES[index] if index < len(_PLACES) else f"attempt {index + 1}"


def line_up(tries: Sequence[Try], world: World, later: str) -> Lineup:
    """The offers of each try, at most `POOL`; `later` is the reason of all but the first. Those with an open circuit
    leave; where every circuit is open, the least bad stays.
    """
    links: list[Link] = []
    missing: list[Excluded] = []
    shut: list[Link] = []
    for place, item in enumerate(tries):
        offers = world.resolve(item.model, item.credential_id)
        if not offers:
            missing.append(Excluded(item.model, unknown(item.credential_id)))
        pool: list[Link] = []
        for offer in offers:
            link = Link(offer.target, place, place_name(place), later if place else "primary", item.timeout_ms)
            if world.health_of(offer.target).state == "open":
                shut.append(link)
            else:
                pool.append(in_pool(link, pool) if pool else link)
                if len(pool) == POOL:
                    break
        links += pool
    prelude = _prelude(links[0].place, shut, world) if links and links[0].place else ""
    return settle(links, shut, missing, world, prelude)


def kept_line_up(tries: Sequence[Try], world: World, later: str) -> Lineup:
    """The same for the attempts of a policy that lives on: with no circuit open, the offers alone determine it."""
    known = world.memo.get(id(tries))
    lineup = known[1] if known is not None else line_up(tries, world, later)
    assert isinstance(lineup, Lineup)
    for link in lineup.links:
        if world.health_of(link.target).state == "open":
            return lineup if known is None else line_up(tries, world, later)
    if known is None and lineup.last_resort is None:
        if len(world.memo) >= _KEPT:
            world.memo.clear()
        world.memo[id(tries)] = (tries, replace(lineup, listed=lineup.candidates))  # `tries` kept, so is its id
    return lineup


def settle(
    links: Sequence[Link], shut: Sequence[Link], left_out: Sequence[Excluded], world: World, prelude: str = ""
) -> Lineup:
    """The lineup of `links`, with the least bad of `shut` as its last resort; where there are none, of that alone."""
    if not shut:
        return Lineup(tuple(links), tuple(left_out), prelude)
    chosen = panic([link.target for link in shut], world.health)
    link = next(link for link in shut if link.target == chosen)
    if links:
        excluded = (*left_out, *[_excluded(link, world) for link in shut])
        last = Link(chosen, link.place, f"{link.label} as a last resort", "", link.timeout_ms)
        return Lineup(tuple(links), excluded, prelude, last)
    others = [_excluded(other, world) for other in shut if other is not link]
    panicked = Link(chosen, link.place, link.label, "least bad, every circuit is open", link.timeout_ms)
    return Lineup((panicked,), (*left_out, *others), "every circuit open")


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


def _excluded(link: Link, world: World) -> Excluded:
    """What was left out for its circuit, and why that is open where it is known."""
    reason = world.health_of(link.target).reason
    return Excluded(link.target.name, f"{OPEN}: {reason}" if reason else OPEN)


def _prelude(first: int, shut: Sequence[Link], world: World) -> str:
    """The places before the first usable one, and what became of them."""
    told = dict.fromkeys(range(first), "not offered")
    for link in reversed(shut):
        reason = world.health_of(link.target).reason
        told[link.place] = reason if reason in _NO_FAULT else OPEN
    return ", ".join([f"{place_name(place)} {told[place]}" for place in range(first)])


_NO_FAULT = frozenset({RATE_LIMITED, CREDENTIAL_REFUSED})
"""Reasons of a circuit that say more than that it is open: the provider itself works."""
