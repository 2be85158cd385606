"""Turn the attempts of a policy into calls at providers, within what health and the retry budget allow."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_calling.asked import Asked
from modelux_calling.clock import Clock
from modelux_calling.openai_shapes import ChatBody
from modelux_providers.call import ProviderCall
from modelux_providers.client import Client, Deadlines
from modelux_providers.dialects.base import Call, ChatCall, DialectName, EmbeddingsCall, Headers
from modelux_providers.route import Terms
from routing_core.flow import Attempt, Step, Until
from routing_core.health import Registry
from routing_core.types import Outcome, Request

_BETA: Mapping[DialectName, bytes] = {"openai": b"openai-beta", "anthropic": b"anthropic-beta"}
"""The one header of a caller that goes on to a provider: by it a caller asks for features under test."""


class Beginner:
    """Makes the calls of one request (see `drive.Begin`)."""

    __slots__ = ("_asked", "_client", "_clock", "_deadlines", "_registry", "_tried")

    def __init__(self, asked: Asked, client: Client, deadlines: Deadlines, registry: Registry, clock: Clock) -> None:
        self._asked = asked
        self._client = client
        self._deadlines = deadlines
        self._registry = registry
        self._clock = clock
        self._tried: set[str] = set()

    def begin(self, number: int, attempt: Attempt, until: Until) -> ProviderCall:
        asked = self._asked
        project = asked.project
        target = attempt.target
        route = project.routes[target.credential_id]
        offer = project.offer_of(target)
        terms = Terms(
            self._deadlines,
            None if attempt.timeout_ms is None else attempt.timeout_ms / 1000,
            offer.price if offer is not None else None,
            asked.request.input_tokens,
            _beta(asked, route.vendor.dialect),
        )
        body = asked.body
        request = asked.request
        now_ms = self._clock.steady_ms()
        admitted = self._admitted(attempt, now_ms)
        purse = asked.purse
        charge = None
        if purse is not None and admitted:
            charge = purse.charge(target, offer, route.vendor, project.default_max_tokens)
        call: Call
        if isinstance(body, ChatBody):
            call = ChatCall(
                asked.raw,
                target.model,
                route.vendor,
                asked.stream and until == "head",
                asked.stream and body.wants_usage,
                _limit(request, charge.limit if charge is not None else project.default_max_tokens),
                offer.max_output_tokens if offer is not None else None,
                request.at_ms // 1000,
                asked.call_id,
                attempt.logprobs,
            )
        else:
            call = EmbeddingsCall(asked.raw, target.model, route.vendor, asked.call_id)
        made = ProviderCall(self._client, route, target, call, terms, until=until, number=number, reason=attempt.reason)
        made.charge = charge
        if not admitted:
            made.refuse("circuit_open")
            return made
        self._registry.begin(target, now_ms, retry=target.provider in self._tried)
        self._tried.add(target.provider)
        made.on_end = self._observe
        return made

    def may_go_on(self, step: Step) -> str | None:
        """Another attempt at a provider already tried needs a retry from its budget."""
        now_ms = self._clock.steady_ms()
        for attempt in step.attempts:
            provider = attempt.target.provider
            if provider in self._tried and not self._registry.retry(provider, now_ms):
                return f"the retry budget of {provider} is used up"
        return None

    def _admitted(self, attempt: Attempt, now_ms: int) -> bool:
        """Whether the circuit lets the call out:
        an open one only in panic, a half-open one only its probe or the last candidate.
        """
        run = self._asked.run
        seen = run.seen.get(attempt.target) if run is not None else None
        if run is None or seen is None or seen.state == "open" or self._registry.admit_probe(attempt.target, now_ms):
            return True
        candidates = run.steps[0].candidates
        return not candidates or candidates[-1].target == attempt.target

    def _observe(self, outcome: Outcome) -> None:
        if outcome.unsent:
            self._tried.discard(outcome.target.provider)  # nothing was tried there: going on is no retry
        self._registry.observe(outcome, self._clock.steady_ms())


def _limit(request: Request, limit: int) -> int | None:
    """The limit on output tokens to send in place of the caller's; None: the caller's stands, or there is none."""
    return None if request.max_tokens is not None else limit or None


def _beta(asked: Asked, dialect: DialectName) -> Headers:
    name = _BETA.get(dialect)
    value = asked.headers.get(name) if name is not None else None
    return () if name is None or value is None else ((name, value),)
