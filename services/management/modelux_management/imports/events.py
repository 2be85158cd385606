"""Make the event of an imported call: an id by its content, the price of its time, and a trace that a replay reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage
from modelux_management.imports.bodies import LIMIT_BYTES, bodies, needs
from modelux_management.imports.entries import Entry
from modelux_providers.catalog import VENDORS, Catalog, PriceOverride
from routing_core.pricing import cost
from routing_core.trace import Measured, Saw, Trace, TraceAttempt, TraceCandidate
from routing_core.types import OutcomeKind

UNKNOWN_PROVIDER = "unknown"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call cost, nano-USD, and the row of prices that says so."""

    nano: int
    version: str
    unknown: bool


@dataclass(frozen=True, slots=True)
class Importer:
    """Makes events for one project.

    Args:
        source: Names the history; empty until its preset is known, which then names it.
        full: Whether the project keeps bodies.
        overrides: The operator's prices.
        credentials: By provider, where there is just one.
    """

    organization_id: str
    project_id: str
    source: str
    full: bool
    catalog: Catalog
    overrides: Sequence[PriceOverride] = ()
    credentials: Mapping[str, str] = field(default_factory=dict)
    _providers: dict[str, str] = field(default_factory=dict)
    """By model, as inferred."""

    def event(self, entry: Entry) -> RequestCompleted:
        """The event of one call."""
        provider = entry.provider or self._inferred(entry.model, entry.started_at_us // 1000)
        credential_id = entry.credential_id or self.credentials.get(provider, "")
        charge = self._charge(entry, provider)
        request, response = bodies(entry) if self.full else (b"", b"")
        shed = len(request) + len(response) > LIMIT_BYTES
        identity = self._request_id(entry)
        attempt = _attempt(entry, provider, credential_id, charge)
        return RequestCompleted(
            request_id=identity,
            organization_id=self.organization_id,
            project_id=self.project_id,
            started_at_us=entry.started_at_us,
            endpoint=entry.endpoint,
            requested_model=entry.requested_model,
            policy_type="single",
            outcome="error" if entry.failed else "ok",
            status=entry.status,
            error_code=entry.error,
            model=entry.model,
            provider=provider,
            credential_id=credential_id,
            stream=entry.stream,
            tags=entry.tags,
            end_user_id=entry.end_user_id,
            usage=attempt.usage,
            cost_nano=charge.nano,
            latency_us=attempt.latency_us,
            ttft_us=attempt.ttft_us,
            attempts=[attempt],
            trace_json=_encode(_trace(identity, entry, attempt, self.source)),
            request_body=b"" if shed else request,
            response_body=b"" if shed else response,
            logging_mode="full" if self.full else "metadata_only",
            body_shed=shed,
            price_version=charge.version,
            estimated_input_tokens=entry.usage.input,
            max_tokens=entry.max_tokens,
            needs=sorted(needs(entry)),
            price_unknown=charge.unknown,
            source=self.source,
        )

    def _request_id(self, entry: Entry) -> str:
        """Of project, source and row, and of its time: a table of requests is ordered by time, so that a row which
        came again at another one could not replace itself.
        """
        parts = (self.project_id, self.source, entry.identity, str(entry.started_at_us))
        digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
        number = int.from_bytes(digest, "big")
        return "req_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))

    def _inferred(self, model: str, at_ms: int) -> str:
        """The first provider whose own price list holds the model."""
        found = self._providers.get(model)
        if found is None:
            # OpenRouter's own names hold a path; without one it only resells.
            served = (each for each in VENDORS.values() if each.name != "openrouter" or "/" in model)
            makers = (each for each in served if each.prices and not each.own_models)
            listing = (each.name for each in makers if self.catalog.price(each.name, model, at_ms, self.overrides))
            found = self._providers[model] = next(listing, UNKNOWN_PROVIDER)
        return found

    def _charge(self, entry: Entry, provider: str) -> Charge:
        """What is told, else the price of that time. Exporters write 0 where they know no price: that is not told."""
        used = entry.usage.input + entry.usage.output > 0
        if entry.cost_nano or (entry.cost_nano == 0 and not used):
            return Charge(entry.cost_nano, f"imported/{self.source}", False)
        price = self.catalog.price(provider, entry.model, entry.started_at_us // 1000, self.overrides)
        if price is None:
            return Charge(0, "", used)
        return Charge(cost(price, entry.usage) if used else 0, price.version, False)


def _attempt(entry: Entry, provider: str, credential_id: str, charge: Charge) -> AttemptRecord:
    usage = entry.usage
    return AttemptRecord(
        number=1,
        model=entry.model,
        provider=provider,
        credential_id=credential_id,
        kind=_kind(entry),
        status=entry.status,
        error_code=entry.error,
        latency_us=entry.latency_us or 0,
        ttft_us=-1 if entry.ttft_us is None else entry.ttft_us,
        usage=Usage(
            input=usage.input,
            output=usage.output,
            cache_read=usage.cache_read,
            cache_write=usage.cache_write,
            reasoning=usage.reasoning,
        ),
        cost_nano=charge.nano,
        price_version=charge.version,
        price_unknown=charge.unknown,
    )


def _kind(entry: Entry) -> OutcomeKind:
    """How the attempt ended: a failure without a status left no usable answer, and more is not known."""
    if not entry.failed:
        return "ok"
    return "status" if entry.status >= 400 else "invalid"


def _trace(identity: str, entry: Entry, attempt: AttemptRecord, source: str) -> Trace:
    """The decision that there was: this model, and no other was considered."""
    name, reason = f"{attempt.model}:{attempt.provider}", f"imported from {source}"
    latency_ms = attempt.latency_us / 1000
    ttft_ms = None if entry.ttft_us is None else entry.ttft_us / 1000
    cost_usd = attempt.cost_nano / 1e9
    tried = TraceAttempt(
        number=1,
        model=name,
        credential_id=attempt.credential_id,
        outcome=_kind(entry),
        status=entry.status or None,
        error_code=entry.error or None,
        latency_ms=latency_ms,
        ttft_ms=ttft_ms,
        usage=entry.usage,
        cost_usd=cost_usd,
        started_ms=0.0,
        reason=reason,
    )
    return Trace(
        request_id=identity,
        policy_type="single",
        policy_name="",
        policy_version=0,
        path=(),
        candidates=(TraceCandidate(name, 1, reason),),
        excluded=(),
        attempts=(tried,),
        selected=None if entry.failed else name,
        selection_reason=reason,
        selected_attempt=None if entry.failed else 1,
        saw=Saw({}, (), attempt.price_version, entry.started_at_us // 1000, None),
        measured=Measured(cost_usd, latency_ms, ttft_ms),
    )
