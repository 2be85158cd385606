"""Runs of policies whose course hangs on little: made once by the engine, and followed by all requests like it.

What `single`, `fallback` and references to such ask next hangs on the offers, the policies referred to, and how
attempts ended in kind, as long as no circuit they look at is open and no budget names something cheaper. Of such a
request the engine's steps and decision are kept as a tree, with a branch for each end an attempt may have. Rules and
splits are asked for each request; where they lead to such a policy, the way there has a tree of its own. Every other
request, and every branch that nobody took before, is run by the engine itself, so that both ways come to the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from routing_core.config import MAX_DEPTH, NamedPolicy, Policy
from routing_core.engine import DELEGATES, Run, Seen, choose
from routing_core.flow import Decision, Hop, Step
from routing_core.policies.choice import Place
from routing_core.shapes import Fallback, Ref, Single
from routing_core.types import Outcome, Request, Target
from routing_core.world import World

_NO_HOPS: tuple[Hop, ...] = ()
_KEPT = 1_000
"""Trees of one simulator; plain calls have one for each model, moment of prices and set of policies."""
_Way = tuple[tuple[int, str, str], ...]
"""Of each choice on a way the id of the policy that was chosen, and what the hop tells of it."""
_End = tuple[str, int | None, str | None]
"""What a chain reads of an outcome: kind, status, and the code where the attempt was not sent."""


class Node:
    """What a policy asks or decides after certain outcomes, and what comes after further ones."""

    __slots__ = ("after", "told")

    def __init__(self, told: Step | Decision) -> None:
        self.told = told
        self.after: dict[_End, Node] = {}


class Tree:
    """The course of one policy at one moment. The keys of `Courses` are ids of what is kept here."""

    __slots__ = ("branches", "kept", "looks", "root")

    def __init__(
        self, kept: tuple[object, ...], looks: tuple[Target, ...] = (), root: Node | None = None, *, forks: bool = False
    ) -> None:
        self.kept = kept
        self.looks = looks
        """The targets whose health it reads, in order."""
        self.root = root
        """None where its course hangs on more."""
        self.branches: dict[_Way, Tree] | None = {} if forks else None
        """Where rules or splits choose for each request: the trees of what they chose, by the way there."""


class Known(Run):
    """A run that follows a tree."""

    __slots__ = ("_hops", "_node")

    def __init__(
        self, policy: NamedPolicy, request: Request, world: World, seen: Seen, root: Node, hops: tuple[Hop, ...]
    ) -> None:
        """`hops`: of this request, where they tell more than the tree does."""
        self.policy = policy
        self.request = request
        self.seen = seen
        self.world = world
        self.steps: list[Step] = []
        self.outcomes: list[Outcome] = []
        self.decision: Decision | None = None
        self._node = root
        self._hops = hops

    def abandon(self, reason: str, code: str = "abandoned") -> Decision:
        """As `Run.abandon`."""
        if self.decision is not None:
            raise ValueError("the run is decided")
        run = Run(self.policy, self.request, self.world)
        run.start()
        for outcome in self.outcomes:
            run.send([outcome])
        self.decision = run.abandon(reason, code)
        return self.decision

    def _advance(self, outcomes: tuple[Outcome, ...] | None) -> Step | Decision:
        node = self._node
        if outcomes is not None:
            outcome = outcomes[0]
            end = (outcome.kind, outcome.status, outcome.error_code if outcome.unsent else None)
            after = node.after.get(end)
            if after is None:
                after = node.after[end] = Node(self._asked())
            self._node = node = after
        told = node.told
        if isinstance(told, Step):
            self.steps.append(told)
            return told
        self.decision = _by(told, self._hops) if self._hops else told
        return self.decision

    def _asked(self) -> Step | Decision:
        """What the engine says after all outcomes so far."""
        run = Run(self.policy, self.request, self.world)
        told = run.start()
        for outcome in self.outcomes:
            told = run.send([outcome])
        return told


_ENGINE = Tree(())
"""Of what the engine itself has to run."""


class Courses:
    """Makes the runs of one simulator."""

    def __init__(self) -> None:
        self._trees: dict[tuple[int, int, int], Tree] = {}

    def run(self, policy: NamedPolicy, request: Request, world: World) -> Run:
        """As `Run` of the same: one that a tree tells, where it can."""
        tree = self._trees.get((id(policy), id(world.offers), id(world.policies)))
        if tree is None:
            tree = self._grown(policy, request, world)
        if any(budget.downgrade_to for budget in world.budgets):
            return Run(policy, request, world)
        seen, hops = Seen(world.health), _NO_HOPS
        if tree.branches is not None:
            tree, hops = _branch(tree, policy, request, world, seen)
        root = tree.root
        if root is None:
            return Run(policy, request, world)
        for target in tree.looks:
            health = seen.get(target)
            if health is not None and health.state == "open":
                return Run(policy, request, world)
        return Known(policy, request, world, seen, root, hops)

    def _grown(self, policy: NamedPolicy, request: Request, world: World) -> Tree:
        kept = (policy, world.offers, world.policies)
        if _hangs_on_kinds(policy.policy, world.policies):
            tree = _tree(kept, policy, request, world)
        else:
            tree = Tree(kept, forks=type(policy.policy) in DELEGATES)
        if len(self._trees) >= _KEPT:
            self._trees.clear()
        self._trees[id(policy), id(world.offers), id(world.policies)] = tree
        return tree


def _tree(kept: tuple[object, ...], policy: NamedPolicy, request: Request, world: World) -> Tree:
    """Of a policy whose course hangs on little: as far as every circuit is closed."""
    closed = World(world.offers, {}, world.policies, (), world.price_version, world.memo)
    run = Run(policy, request, closed)
    root = Node(run.start())
    return Tree(kept, tuple(run.seen.looked), root)


def _branch(
    tree: Tree, policy: NamedPolicy, request: Request, world: World, seen: Seen
) -> tuple[Tree, tuple[Hop, ...]]:
    """The tree of what rules and splits choose for this request, and the hops there, where they tell its draws."""
    view = World(world.offers, seen, world.policies, world.budgets, world.price_version, world.memo)
    inner, place = policy.policy, Place(policy.name, policy.version)
    way: list[tuple[int, str, str]] = []
    hops: list[Hop] = []
    while not isinstance(inner, Single | Fallback):
        if type(inner) not in DELEGATES or place.depth >= MAX_DEPTH:
            return _ENGINE, _NO_HOPS
        choice, hop = choose(inner, request, view, place)
        if choice.policy is None:
            return _ENGINE, _NO_HOPS
        inner, place = choice.policy, place.within(choice)
        way.append((id(inner), hop.chose, hop.reason))
        hops.append(hop)
    branches = tree.branches
    assert branches is not None
    found = branches.get(tuple(way))
    if found is None:
        found = _tree((), NamedPolicy("", 0, inner), request, world)
        if found.root is not None and isinstance(found.root.told, Decision):
            found = _ENGINE  # it does not tell of the way there
        if len(branches) >= _KEPT:
            branches.clear()
        branches[tuple(way)] = found
    return found, tuple(hops) if any(hop.draw is not None for hop in hops) else _NO_HOPS


def _by(d: Decision, hops: tuple[Hop, ...]) -> Decision:
    """The decision, with the hops of this request."""
    return Decision(
        d.selected,
        d.reason,
        d.policy_type,
        d.policy_name,
        hops,
        d.code,
        d.candidates,
        d.excluded,
        d.policy_version,
        d.traits,
    )


def _hangs_on_kinds(policy: Policy, policies: Mapping[str, NamedPolicy], depth: int = 1) -> bool:
    """Whether the policy reads nothing of a request, and of outcomes and health only what trees know of them."""
    if isinstance(policy, Ref):
        found = policies.get(policy.key)
        return found is None or (depth < MAX_DEPTH and _hangs_on_kinds(found.policy, policies, depth + 1))
    return isinstance(policy, Single | Fallback)
