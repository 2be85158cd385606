"""Make one call in a project's name, from its policy to its record, for services that are not the proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_calling import blocked, failures, openai_schema, record
from modelux_calling.answers import cut_at_limit
from modelux_calling.asked import Asked
from modelux_calling.attempts import Beginner
from modelux_calling.blocked import Blocked
from modelux_calling.charge import Spending
from modelux_calling.clock import Clock
from modelux_calling.haste import Haste
from modelux_calling.openai_shapes import ChatBody, EmbeddingsBody
from modelux_calling.patience import Halt, Patience, Patient
from modelux_calling.purse import Purse
from modelux_calling.room import Room
from modelux_calling.tenants import Project
from modelux_providers.call import ProviderCall
from modelux_providers.client import Client, Deadlines
from modelux_providers.dialects.base import Chunk, ProviderError
from modelux_providers.dialects.chunks import replay
from modelux_providers.dialects.collect import collect
from modelux_providers.drive import Driven, drive
from routing_core.budgets import BudgetRule, compile_rules
from routing_core.config import NamedPolicy
from routing_core.engine import Run
from routing_core.flow import Decision
from routing_core.health import Registry
from routing_core.types import Outcome, Request, Target, Usage
from routing_core.world import World


@dataclass(frozen=True, slots=True)
class Called:
    """How one call went, whatever its attempts. Amounts in nano-USD, times in µs."""

    call_id: str
    decision: Decision
    outcomes: tuple[Outcome, ...]
    """Of its attempts, final."""
    answer: bytes = field(repr=False)
    """The whole answer in OpenAI's shape, of a stream too; empty where there is none."""
    error: ProviderError | None
    """Why there is no answer."""
    target: Target | None
    """Of the attempt that answered, else of the last; None where none was made."""
    usage: Usage
    """Of that attempt."""
    cost_nano: int
    charged_nano: int
    """What its budgets were charged; the cost, where none holds."""
    latency_us: int
    """Without the time in which it waited for its turn at a provider."""
    ttft_us: int
    """-1 where no content came."""
    trace_json: bytes = field(repr=False)
    event: bytes = field(repr=False)
    """`RequestCompleted`, encoded, as a proxy records a request, under the caller's `source`."""
    sent: bool
    """Whether any attempt may have reached a provider."""
    halted: str | None
    """The code with which the caller of this forbade a further attempt, or its cap refused one."""
    refused_by: str | None
    """Id of the budget that had no room for the last attempt."""
    cut: bool
    """Whether the answer ended at a limit that we set because its budgets had no room for more."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What calls are made with. `source` marks their records."""

    client: Client
    deadlines: Deadlines
    spending: Spending
    source: str
    haste: Haste
    clock: Clock = field(default_factory=Clock)
    registry: Registry = field(default_factory=Registry)
    """Of these calls alone: they neither feel nor make the health that live traffic sees."""
    room: Room = field(default_factory=Room)

    async def call(
        self,
        project: Project,
        policy: NamedPolicy,
        body: bytes,
        request: Request,
        *,
        cap: BudgetRule | None,
        call_id: str = "",
        ids: Mapping[str, str] | None = None,
        halt: Halt = lambda: None,
    ) -> Called:
        """Drives `policy` for one request to its end. A provider's failure and a budget's refusal are no exceptions.

        A refusal for too many calls (429) is waited out and the attempt made again, before the policy hears of it.

        Args:
            body: OpenAI request as its caller sent it; its `model` is replaced by that of each attempt.
            request: as `request_of` reads it, or as it was logged: then the policy draws as it did for that request.
            call_id: names the call in its record, where that is not the request's own id; of 30 characters as these.
            cap: reserved from beside the project's own budgets; None where these alone hold.
            ids: the `experiment` or `judge_run` that the call is made for; its record is tagged with them.
            halt: asked right before each attempt leaves; a code forbids it.

        Raises:
            OpenAIError: the body is no request.
        """
        shape, text = _read(body, request)
        at_ns = perf_counter_ns()
        asked = Asked(project, policy, request, shape, body, {}, self.clock.now_us(), at_ns)
        asked.call_id, asked.key_id = call_id or request.request_id, ""
        asked.purse = self._purse(asked, cap, ids, text=text)
        budgets = asked.purse.budgets if asked.purse is not None else ()
        health = self.registry.view(self.clock.steady_ms())
        world = World(project.offers, health, project.policies, budgets, project.price_version, project.lineups)
        run = asked.run = Run(policy, request, world)
        beginner = Beginner(asked, self.client, self.deadlines, self.registry, self.clock)
        cap_id = cap.id if cap is not None else ""
        patience = Patience(beginner, self.haste, halt, self.room, self.spending.spender.view, cap_id)
        driven: Driven[Patient] = Driven()
        try:
            decision = await drive(run, patience.begin, driven, beginner.may_go_on)
            asked.driven.trials = [trial.call for trial in driven.trials]
            asked.driven.decision = decision
            answer, error = await _taken(asked, decision)
        except BaseException:
            for trial in driven.trials:
                trial.give_up("cancelled", "caller_left")
            raise
        return self._told(asked, decision, patience, answer, error, ids or {})

    def _purse(
        self, asked: Asked, cap: BudgetRule | None, ids: Mapping[str, str] | None, *, text: bool
    ) -> Purse | None:
        """Guards of runs are left out: they watch the agents that made the traffic, and this is none of theirs."""
        project = asked.project
        rules = [rule for rule in project.budgets if not (rule.scope == "tag" and rule.each and rule.counts_calls)]
        if cap is not None:
            rules.append(cap)
        matcher = compile_rules(rules, project.organization_id, project.id, "")
        if not matcher:
            return None
        purse = Purse(self.spending, None, matcher, asked.request, asked.body, asked.raw, text=text, ids=ids)
        purse.room = self.room if cap is not None else None
        return purse

    def _told(
        self,
        asked: Asked,
        decision: Decision,
        patience: Patience,
        answer: bytes,
        error: ProviderError | None,
        ids: Mapping[str, str],
    ) -> Called:
        ended_ns = perf_counter_ns()
        calls = asked.driven.trials
        outcomes = asked.driven.outcomes()
        index = asked.driven.selected_index
        last = outcomes[index] if index is not None else outcomes[-1] if outcomes else None
        asked.status = 200 if error is None else error.status
        asked.error_code = None if error is None else error.code or error.type
        event = record.completed(
            asked, "ok" if error is None else "error", outcomes, keep_bodies=True, source=self.source
        )
        # Messages that follow each other are one: the tags join those of the request.
        event += RequestCompleted(tags={f"{name}_id": value for name, value in ids.items()}).SerializeToString()
        first_ns = asked.first_sent_ns
        return Called(
            asked.call_id,
            decision,
            outcomes,
            answer,
            error,
            last.target if last is not None else None,
            last.usage if last is not None else Usage(),
            sum(each.cost_nano for each in outcomes),
            sum(map(_charged, calls, outcomes)),
            (ended_ns - asked.arrived_ns) // 1000 - patience.waited_us(ended_ns),
            (first_ns - asked.arrived_ns) // 1000 - patience.waited_us(first_ns) if first_ns else -1,
            RequestCompleted.FromString(event).trace_json,
            event,
            any(not _unsent(call, each) for call, each in zip(calls, outcomes, strict=True)),
            patience.halted,
            error.short.rule.id if isinstance(error, Blocked) and error.short is not None else None,
            _lowered(asked.driven.selected) and cut_at_limit(answer),
        )


def _lowered(call: ProviderCall | None) -> bool:
    return call is not None and call.charge is not None and call.charge.clamped


def request_of(
    body: bytes, *, request_id: str, project_id: str, at_ms: int, tags: Mapping[str, str] | None = None
) -> Request:
    """A chat request as a proxy would understand `body`. Raises OpenAIError for what is none."""
    chat, needs, tokens, _ = openai_schema.read_chat(body)
    return Request(
        request_id,
        project_id,
        "chat",
        chat.model,
        chat.stream is True,
        tokens,
        openai_schema.limit_of(chat),
        needs,
        tags if tags is not None else chat.tags or {},
        chat.end_user_id or chat.user or None,
        "",
        at_ms,
    )


def _read(body: bytes, request: Request) -> tuple[ChatBody | EmbeddingsBody, bool]:
    if request.endpoint == "chat":
        chat, _, _, text = openai_schema.read_chat(body)
        return chat, text
    return openai_schema.read_embeddings(body)[0], False


async def _taken(asked: Asked, decision: Decision) -> tuple[bytes, ProviderError | None]:
    """The answer, read to its end, or why there is none. Keeps what goes into the record."""
    call = asked.driven.selected
    if call is None:
        error = failures.failure(asked.driven.trials, decision)
        asked.response_body = error.envelope()
        return b"", error
    if call.answer is None:
        return await _streamed(asked, call)
    asked.first_sent_ns = perf_counter_ns()
    asked.response_id = call.answer.response_id or ""
    asked.response_body = body = call.answer.body
    if asked.stream and isinstance(asked.body, ChatBody):
        asked.response_body = b"".join(replay(body, call.final().usage, wants_usage=asked.body.wants_usage) or ())
    return body, None


async def _streamed(asked: Asked, call: ProviderCall) -> tuple[bytes, ProviderError | None]:
    asked.first_sent_ns = perf_counter_ns()
    events = list(call.startup)
    while not call.ended:
        events += await call.more()
    chunks = [event.data for event in events if isinstance(event, Chunk)]
    asked.response_body = b"".join(chunks)
    return (collect(chunks), None) if call.error is None else (b"", call.error)


def _charged(call: ProviderCall, outcome: Outcome) -> int:
    return call.charge.charged_nano if call.charge is not None else outcome.cost_nano


def _unsent(call: ProviderCall, outcome: Outcome) -> bool:
    return outcome.unsent or not call.sent


OWN_REFUSALS = frozenset({blocked.STORE_UNAVAILABLE}) | blocked.HOPELESS
"""Codes of refusals of ours, which say nothing of the policy that was called."""
