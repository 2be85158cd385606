"""Decide how a request is answered: choose its behaviour, make or recall its plan, open its entry in the book."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import NormalDist

from modelux_providers.simulator import dialects
from modelux_providers.simulator.calls import Call, Calls, fingerprint
from modelux_providers.simulator.directives import apply
from modelux_providers.simulator.recorded import Recordings
from modelux_providers.simulator.reply import Composer
from modelux_providers.simulator.routes import read
from modelux_providers.simulator.rules import Caller, Chooser
from modelux_providers.simulator.scenario import DEFAULTS, Behaviour, InvalidScenario, Scenario, merged
from modelux_providers.simulator.script import End, Part, Plan, Sleep, Timing, Write, build, play
from modelux_providers.simulator.words import Ask, Refusal, Response, Tokens, draw

_REMEMBERED = 2_000
_NO_RULES: tuple[int, ...] = ()
_KEY = re.compile(r"([?&]key=)([^&]+)")  # Gemini's way to send a key in the address
_UNKNOWN = "\x00unknown"
_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})


@dataclass(slots=True)
class Incoming:
    """A request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    connection: int
    reused: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """What to do for a request: write `instant` at once, else play `parts`. The book's entry is `call`."""

    call: Call
    keep_alive: bool
    instant: bytes | None
    parts: Iterator[Part]
    events: int = 0


@dataclass(slots=True)
class _Seen:
    """A request that came at least once: what it asks, how often it came, what was planned for it."""

    ask: Ask
    prompt: str
    candidates: tuple[int, ...]
    times: int = 0
    plans: dict[tuple[tuple[int, ...], str], tuple[Behaviour, Plan, str]] = field(default_factory=dict)


class Responder:
    """Answers requests by a scenario. `now` is a clock in seconds that never goes back."""

    def __init__(
        self, scenario: Scenario, recordings: Recordings, now: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._now = now
        self._changed = changed
        self._recordings = recordings
        self.use(scenario)

    def use(self, scenario: Scenario) -> None:
        """Begin a scenario: its clock, its counts and its book start anew."""
        self.scenario = scenario
        self.calls = Calls(scenario.keep_calls, self._changed)
        self._begun = self._now()
        self._seen: dict[tuple[str, bytes], _Seen] = {}
        self._keys: dict[bytes, tuple[str, str]] = {b"": ("", "")}
        self._chooser = Chooser(scenario.seed, scenario.rules)
        self._composer = Composer(scenario.seed, scenario.created, self._recordings)

    def at_s(self) -> float:
        """Seconds since the scenario began."""
        return self._now() - self._begun

    def refusing(self) -> bool:
        """Whether new connections are reset at this moment."""
        return bool(self.scenario.refuse) and any(window.holds(self.at_s()) for window in self.scenario.refuse)

    def answer(self, request: Incoming) -> Exchange:
        """Open an entry for the request and say what happens."""
        at_s = self.at_s()
        caller = self._caller(request)
        digest = sha256(request.body).digest()
        seen = self._seen.get((request.target, digest)) or self._first(request, digest)
        seen.times += 1
        chosen = (
            self._chooser.chosen(seen.candidates, caller, at_s, digest, seen.times) if seen.candidates else _NO_RULES
        )
        known = seen.plans.get((chosen, caller.refused or caller.named))
        behaviour, plan, code = known or self._plan(seen, chosen, caller, digest)
        call = self._entry(request, seen.ask, caller, plan, at_s)
        call.rules, call.error_code = chosen, code
        self.calls.begin(call, request.headers, digest)
        if behaviour is DEFAULTS and plan.instant is not None:
            return Exchange(call, True, plan.instant, iter(()), plan.events)
        return self._played(call, behaviour, plan, request.reused, f"{digest.hex()}:{seen.times}")

    def _played(self, call: Call, behaviour: Behaviour, plan: Plan, reused: bool, identity: str) -> Exchange:
        instead = _instead(behaviour, reused)
        if instead:
            call.status = 0
            return Exchange(call, False, None, iter(instead))
        timing = self._timing(behaviour, plan, identity)
        instant = plan.instant if timing == Timing() else None
        return Exchange(call, plan.keep_alive, instant, play(plan, behaviour, timing), plan.events)

    def _entry(self, request: Incoming, ask: Ask, caller: Caller, plan: Plan, at_s: float) -> Call:
        tokens = plan.response.tokens
        return Call(
            number=self.calls.number(),
            at_s=at_s,
            connection=request.connection,
            method=request.method,
            path=_KEY.sub(r"\1hidden", request.target),
            dialect=ask.dialect,
            endpoint=ask.endpoint,
            model=ask.model,
            key=caller.fingerprint,
            stream=ask.stream,
            status=plan.response.status,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cached_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write,
            reasoning_tokens=tokens.reasoning,
            idempotency_key=caller.idempotency_key,
            body=request.body.decode("utf-8", "replace") if self.scenario.keep_bodies else None,
        )

    def _first(self, request: Incoming, digest: bytes) -> _Seen:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        anthropic = any(name == b"anthropic-version" for name, _ in request.headers)
        ask = read(request.method, request.target, request.body, anthropic)
        path = request.target.partition("?")[0]
        seen = _Seen(ask, ask.prompt, self._chooser.candidates(ask, path))
        self._seen[request.target, digest] = seen
        return seen

    def _caller(self, request: Incoming) -> Caller:
        secret = named = idempotency = b""
        for header, value in request.headers:
            if header in _CREDENTIALS:
                secret = value
            elif header == b"x-simulator-scenario":
                named = value
            elif header == b"idempotency-key":
                idempotency = value
        if not secret and (found := _KEY.search(request.target)):
            secret = found[2].encode("latin-1")
        key, mark = self._keys.get(secret) or self._key(secret)
        accepted = self.scenario.accepted_keys
        refused = "\x00key" if accepted and key not in accepted else ""
        name = named.decode("latin-1")
        if name and name not in self.scenario.named:
            name = _UNKNOWN
        return Caller(key, mark, request.headers, name, idempotency.decode("latin-1"), refused)

    def _key(self, secret: bytes) -> tuple[str, str]:
        key = secret.decode("latin-1").removeprefix("Bearer ").strip()
        if len(self._keys) < _REMEMBERED:
            self._keys[secret] = key, fingerprint(key)
        return key, fingerprint(key)

    def _plan(self, seen: _Seen, chosen: tuple[int, ...], caller: Caller, digest: bytes) -> tuple[Behaviour, Plan, str]:
        ask = seen.ask
        behaviour, refusal = self._behaviour(ask, chosen, caller.named)
        if caller.refused:
            behaviour, refusal = DEFAULTS, dialects.bad_key(ask.dialect)
        refusal = refusal or self._refusal(ask, behaviour)
        if refusal or ask.endpoint == "models":
            response = self._bare(ask, refusal, behaviour, digest.hex())
        else:
            sampled = behaviour.own_words < 1.0
            reply = self._composer.reply(ask, behaviour, f"{digest.hex()}:{seen.times}" if sampled else digest.hex())
            response = dialects.respond(ask, reply, behaviour)
        response = dialects.dressed(response, behaviour, ask)
        error = dialects.refuse(ask, _declared(behaviour, 500), behaviour)
        made = behaviour, build(response, behaviour, ask.dialect, error), (refusal.code or "") if refusal else ""
        if behaviour.own_words >= 1.0:
            seen.plans[chosen, caller.refused or caller.named] = made
        return made

    def _behaviour(self, ask: Ask, chosen: tuple[int, ...], named: str) -> tuple[Behaviour, Refusal | None]:
        behaviour = self.scenario.behaviour
        for number in chosen:
            behaviour = merged(behaviour, self.scenario.rules[number].behaviour)
        if named == _UNKNOWN:
            return DEFAULTS, Refusal(
                400, "simulator: no behaviour of the name in x-simulator-scenario", "bad_directive"
            )
        if named:
            behaviour = merged(behaviour, self.scenario.named[named])
        try:
            behaviour = apply(behaviour, ask.model, ask.prompt, self.scenario.named)
        except InvalidScenario as error:
            return DEFAULTS, Refusal(400, f"simulator: {error}", "bad_directive")
        recorded = self._recordings.find(ask.model, ask.prompt)
        if recorded and recorded.status:
            behaviour = merged(behaviour, Behaviour(status=recorded.status))
        return (DEFAULTS if behaviour == DEFAULTS else behaviour), None

    def _refusal(self, ask: Ask, behaviour: Behaviour) -> Refusal | None:
        """The provider's reason not to answer, the scripted one first."""
        if behaviour.status >= 400 or behaviour.body == "error":
            return _declared(behaviour, behaviour.status or 200)
        if ask.refusal and (self.scenario.strict or ask.refusal.status in (404, 405) or not ask.fields):
            return ask.refusal
        for name in behaviour.rejects:
            if name in ask.fields:
                text = f"Unsupported parameter: '{name}' is not supported with this model."
                return Refusal(400, text, "unsupported_parameter", name)
        for name in behaviour.requires:
            if name not in ask.fields:
                return Refusal(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
        if self.scenario.known_models_only and ask.model and ask.model not in self.scenario.models:
            return Refusal(404, f"The model `{ask.model}` does not exist or you do not have access to it.")
        if ask.dialect == "anthropic" and ask.choices > 1:
            return Refusal(400, "n: Extra inputs are not permitted")
        return None

    def _bare(self, ask: Ask, refusal: Refusal | None, behaviour: Behaviour, digest: str) -> Response:
        """A response that no model made: an error or a listing."""
        headers = (("request-id" if ask.dialect == "anthropic" else "x-request-id", f"req_{digest[:24]}"),)
        if refusal:
            body = dialects.refuse(ask, refusal, behaviour)
            return Response(refusal.status, Tokens(), body, dialects.content_type(ask), headers)
        body = dialects.models(ask, self.scenario.models, self.scenario.created)
        return Response(200, Tokens(), body, dialects.content_type(ask), headers)

    def _timing(self, behaviour: Behaviour, plan: Plan, identity: str) -> Timing:
        if plan.response.status >= 400:
            return Timing(behaviour.headers_ms / 1000)
        first = behaviour.ttft_ms or (0.0 if behaviour.per_token_ms else plan.response.latency_ms)
        seed = f"{self.scenario.seed}:{identity}"
        return Timing(
            behaviour.headers_ms / 1000,
            _spread(first, behaviour.ttft_sigma, draw(seed, "ttft")) / 1000,
            _spread(behaviour.per_token_ms, behaviour.per_token_sigma, draw(seed, "token")) / 1000,
        )


def _spread(median: float, sigma: float, chance: float) -> float:
    if not median or not sigma:
        return median
    return median * math.exp(sigma * NormalDist().inv_cdf(min(1 - 1e-9, max(1e-9, chance))))


def _declared(behaviour: Behaviour, status: int) -> Refusal:
    message = behaviour.error_message or dialects.MESSAGES.get(status, f"The simulator answers with {status}.")
    return Refusal(status, message, behaviour.error_code or None, behaviour.error_param or None, behaviour.error_type)


def _instead(behaviour: Behaviour, reused: bool) -> tuple[Part, ...]:
    """What happens instead of any response."""
    if behaviour.reset_before:
        return (End("reset"),)
    if behaviour.close_before or (behaviour.reuse_race and reused):
        return (End("close"),)
    if behaviour.hang_headers:
        return (End("hang"),)
    if behaviour.garbage:
        return Write(b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n"), Sleep(0.005), End("close")
    return ()
