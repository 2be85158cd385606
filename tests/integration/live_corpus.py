"""What the live corpus asks: configs of all eight strategies in several shapes, prompts that carry faults, phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario

MINI, STRONG, HAIKU, FLASH, DEAD = (
    "gpt-4o-mini",
    "gpt-4o",
    "claude-haiku-4-5",
    "gemini-2.5-flash",
    "mistral-small-latest",
)
PLACES = ("openai1", "openai2", "anthropic", "google")
FAULTS: Mapping[str, Behaviour] = {
    "429": Behaviour(status=429, retry_after="1"),
    "busy": Behaviour(status=429),
    "500": Behaviour(status=500),
    "503": Behaviour(status=503),
    "400": Behaviour(status=400),
    "401": Behaviour(status=401),
    "hang": Behaviour(hang_headers=True),
    "slow": Behaviour(ttft_ms=90),
    "stall": Behaviour(hang_after=3),
    "cut": Behaviour(cut_after=1),
    "late-cut": Behaviour(cut_after=6),
    "reset": Behaviour(reset_before=True),
    "html": Behaviour(body="html"),
    "broken": Behaviour(body="truncated"),
    "error-event": Behaviour(error_after=3),
    "no-usage": Behaviour(usage="missing"),
    "unsure": Behaviour(logprob=-3.0),
    "refusal": Behaviour(text="I'm sorry, but I can't help with that."),
    "json": Behaviour(text='{"b": 1, "a": [2]}'),
    "same-json": Behaviour(text='{"a":[2],"b":1}'),
    "yes": Behaviour(text="Yes."),
    "no": Behaviour(text="no"),
    "sure": Behaviour(text="Paris. Confidence: 90%"),
    "guess": Behaviour(text="Paris? Confidence: 0.2"),
}
"""A prompt that holds `<openai1 503>` gets that behaviour at that place; `<any ...>` gets it everywhere."""


def scenario(*down: str) -> Scenario:
    """Faults as prompts ask for them, and 503 from every place in `down` whatever they ask for."""
    rules = [
        Rule(match=Match(path="" if place == "any" else f"/{place}/", prompt=f"<{place} {name}>"), behaviour=behaviour)
        for place in ("any", *PLACES)
        for name, behaviour in FAULTS.items()
    ]
    rules += [Rule(match=Match(path=f"/{place}/"), behaviour=FAULTS["503"]) for place in down]
    return Scenario(behaviour=Behaviour(output_tokens=8), rules=tuple(rules))


@dataclass(frozen=True)
class Ask:
    """One request to make."""

    model: str
    prompt: str
    stream: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)
    embeddings: bool = False
    leaves: bool = False
    """Whether the caller goes away after a moment."""


def _fallback(*attempts: object, **more: object) -> dict[str, object]:
    return {"strategy": "fallback", "attempts": list(attempts), **more}


def _try(model: str, timeout_ms: int = 250, **confidence: object) -> dict[str, object]:
    return {"model": model, "timeout_ms": timeout_ms} | ({"confidence": confidence} if confidence else {})


def _cascade(*attempts: object) -> dict[str, object]:
    return {"strategy": "cascade", "attempts": list(attempts)}


def _split(sticky_by: str, *policies: object, **more: object) -> dict[str, object]:
    arms = [{"weight": 1 + 2 * i, "name": f"arm-{i}", "policy": policy} for i, policy in enumerate(policies)]
    return {"strategy": "ab_test", "sticky_by": sticky_by, "split": arms, **more}


def _ensemble(aggregation: str, *members: object, **more: object) -> dict[str, object]:
    return {"strategy": "ensemble", "aggregation": aggregation, "members": list(members), "timeout_ms": 300, **more}


def _rules(otherwise: object, **rules: tuple[str, object]) -> dict[str, object]:
    cases = [{"name": name, "when": when, "then": then} for name, (when, then) in rules.items()]
    return {"strategy": "custom_rules", "rules": cases, "otherwise": otherwise}


_CHAIN = _fallback(_try(HAIKU), _try(MINI), _try(FLASH), retry_on=["429", "5xx", "timeout", "connect", "credentials"])
CONFIGS: Mapping[str, Mapping[str, object]] = {
    "single": {
        "one": {"strategy": "single", "model": MINI, "timeout_ms": 250},
        "at": {"strategy": "single", "model": f"{MINI}:openai", "provider_credential_id": "pc_openai_2"},
        "claude": {"strategy": "single", "model": HAIKU, "timeout_ms": 250},
    },
    "fallback": {
        "chain": _CHAIN,
        "impatient": _fallback(_try(FLASH, 60), MINI, retry_on=["timeout"]),
        "dead-first": _fallback(DEAD, "never-heard-of", _try(HAIKU), FLASH),
        "one-house": _fallback(_try(STRONG), _try(MINI), f"{MINI}:openai", retry_on=["5xx", "429", "timeout"]),
        "embed": _fallback("text-embedding-3-small", "gemini-embedding-001"),
    },
    "cost_optimized": {
        "cheap": {"strategy": "cost_optimized", "allow": [STRONG, HAIKU, MINI, FLASH, DEAD, "nope"], "timeout_ms": 250},
        "good": {"strategy": "cost_optimized", "quality": "strong", "timeout_ms": 250, "retry_on": ["5xx", "timeout"]},
        "wordy": {
            "strategy": "cost_optimized", "allow": [HAIKU, MINI, FLASH], "deny": [FLASH],
            "expected_output_tokens": 9000, "timeout_ms": 250,
        },
    },
    "latency_optimized": {
        "fast": {"strategy": "latency_optimized", "models": [HAIKU, MINI, FLASH], "timeout_ms": 250},
        "curious": {"strategy": "latency_optimized", "models": [MINI, STRONG, HAIKU, DEAD, "x"], "explore": 0.5},
        "first-word": {"strategy": "latency_optimized", "models": [FLASH, MINI], "metric": "ttft", "explore": 0},
    },
    "ensemble": {
        "vote": _ensemble("voting", HAIKU, MINI, FLASH),
        "weighted": _ensemble("weighted", {"model": HAIKU, "weight": 3}, {"model": MINI, "weight": 2}, FLASH),
        "race": _ensemble("first_valid", HAIKU, MINI, FLASH, valid={"no_refusal": True}),
        "strict": _ensemble("voting", HAIKU, MINI, _try(FLASH, 80), valid={"json": True}),
        "any": _ensemble("first_valid", MINI, DEAD),
    },
    "ab_test": {
        "inner": _CHAIN,
        "by-request": _split("request_id", MINI, "@inner"),
        "by-user": _split("end_user_id", HAIKU, MINI, salt="users"),
        "by-key": _split("key_id", FLASH, HAIKU, MINI),
        "by-run": _split("tag:run_id", "@inner", "@inner:1", {"strategy": "cost_optimized", "allow": [MINI, FLASH]}),
        "nested": _split("request_id", _split("end_user_id", MINI, "@inner"), _ensemble("voting", MINI, FLASH)),
    },
    "cascade": {
        "climb": _cascade(_try(MINI), _try(HAIKU), _try(FLASH)),
        "certain": _cascade(_try(MINI, min_logprob_mean=-1), _try(HAIKU, min_logprob_mean=-1), _try(STRONG)),
        "scored": _cascade(_try(HAIKU, self_score={"marker": "confidence:", "min": 0.7}), _try(MINI), FLASH),
        "well-formed": _cascade(_try(FLASH, json=True), _try(MINI, json=True), _try(HAIKU)),
        "willing": _cascade(_try(HAIKU, no_refusal=True), _try(MINI, no_refusal=True), _try(DEAD)),
        "worded": _cascade(_try(MINI, matches="(?i)^yes|paris"), _try(FLASH)),
    },
    "custom_rules": {
        "inner": _CHAIN,
        "by-tag": _rules("@inner", gold=("tags.tier == 'gold'", HAIKU), team=("tags.team.startsWith('se')", FLASH)),
        "by-size": _rules(
            MINI, long=("input_tokens > 120", FLASH), wordy=("has(max_tokens) && tokens > 300", HAIKU),
            logs=("'logprobs' in needs", STRONG), tooled=("'tools' in needs", "@inner"),
        ),
        "by-time": _rules(
            FLASH, night=("hour < 8 || weekday == 6", MINI), odd=("minute % 2 == 1", _split("request_id", HAIKU, MINI))
        ),
        "by-health": _rules(
            "@inner", quick=("!stream && input_tokens < 100 && latency_ms['gpt-4o-mini'] < 200.0", MINI),
            prompt_first=("stream && ttft_ms['gemini-2.5-flash'] < 200.0", FLASH),
            ill=("error_rate['claude-haiku-4-5'] > 0.2 || !healthy['claude-haiku-4-5']", FLASH),
        ),
        "by-cost": _rules(
            MINI, cheap=("cost_usd['claude-haiku-4-5'] < 0.0006", HAIKU), user=("end_user_id == 'u1'", "@by-time"),
            broken=("budget.remaining_usd > 1.0", FLASH),
        ),
    },
}  # fmt: skip
"""Configs by strategy; the requests of a strategy name its own alone."""
LATER: Mapping[str, Mapping[str, object]] = {
    "single": {"one": {"strategy": "single", "model": FLASH, "timeout_ms": 250}},
    "fallback": {"chain": _fallback(_try(MINI), _try(HAIKU))},
    "cost_optimized": {"cheap": {"strategy": "cost_optimized", "allow": [MINI, HAIKU], "timeout_ms": 200}},
    "latency_optimized": {"fast": {"strategy": "latency_optimized", "models": [HAIKU, FLASH], "explore": 1}},
    "ensemble": {"vote": _ensemble("weighted", {"model": HAIKU, "weight": 1}, {"model": FLASH, "weight": 5})},
    "ab_test": {
        "inner": {"strategy": "cost_optimized", "allow": [FLASH, HAIKU]},
        "by-user": _split("end_user_id", FLASH, MINI),
    },
    "cascade": {"climb": _cascade(_try(FLASH, json=True), _try(MINI))},
    "custom_rules": {
        "inner": _fallback(_try(FLASH), _try(MINI)),
        "by-tag": _rules("@inner:1", gold=("true", "@inner")),
    },
}
"""New versions that become active in the middle of the corpus."""

_PROMPTS = (
    "Plain.",
    "<anthropic 429> <google yes> <openai1 yes>",
    "<openai1 503> <anthropic hang>",
    "<anthropic 500> <openai1 busy> <openai2 busy> <google 503>",
    "<google hang> <openai2 slow>",
    "<any refusal>",
    "<anthropic refusal> <openai1 sure> <google guess>",
    "<any json> <google same-json>",
    "<google html> <anthropic broken> <openai1 reset>",
    "<any cut>",
    "<any late-cut>",
    "<openai1 unsure> <openai2 unsure> <anthropic guess> <google no>",
    "<any 400>",
    "<any unsure>",
    "<anthropic 401> <openai1 401> <google slow>",
    "<any error-event>",
    "<anthropic yes> <openai1 no> <google yes>",
    "<any stall>",
    "<any no-usage>",
)
_EXTRAS: tuple[Mapping[str, object], ...] = (
    {"user": "u1", "mlx:tags": {"run_id": "r1", "tier": "gold"}},
    {"max_tokens": 400, "mlx:tags": {"run_id": "r2", "team": "search"}},
    {"user": "", "logprobs": True},
    {"mlx:end_user_id": "u3", "user": "u1", "max_completion_tokens": 64},
    {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]},
    {"user": "ü4", "mlx:tags": {"run_id": "", "tier": "silver"}, "n": 1},
    {},
)


_FIRST_FAULT = {1: 0, 2: 9, 3: 4, 4: 6, 5: 12}
"""Where in `_PROMPTS` a phase begins, so that the calm ones together come to all of them."""
_SPECIAL: Mapping[str, tuple[Ask, ...]] = {
    "cascade": (
        Ask("@certain", "<any unsure> Certain?", extra={"logprobs": True}),
        Ask("@scored", "<anthropic guess> Sure?"),
    ),
    "custom_rules": (
        Ask("@by-health", "First word?", True),
        Ask("@by-health", "Ill? " + 150 * "words "),
        Ask("@by-tag", "<any broken> Gold?"),
    ),
    "latency_optimized": (Ask("@fast", "<any broken> Fast?"),),
    "single": (Ask("@one", "<any broken> One?"), Ask(MINI, "Plain?"), Ask(f"{MINI}:openai", "At?", True)),
}
"""Requests that no round would come to."""


def asks(strategy: str, phase: int, count: int) -> list[Ask]:
    """The requests of one phase: round after round over all configs of the strategy, each with another fault."""
    slugs = [slug for slug in CONFIGS[strategy] if slug != "inner"]
    last = special(strategy, phase)
    turns = (divmod(number, len(slugs)) for number in range(count - len(last)))
    return [*(_ask(phase, slugs[place], turn, place) for turn, place in turns), *last]


def special(strategy: str, phase: int) -> list[Ask]:
    """The requests of a phase that no round would come to."""
    return [replace(ask, prompt=f"{ask.prompt} {phase}") for ask in _SPECIAL.get(strategy, ())]


def _ask(phase: int, slug: str, turn: int, place: int) -> Ask:
    fault = _PROMPTS[(_FIRST_FAULT[phase] + turn + 7 * place) % len(_PROMPTS)]
    padding = "words " * (150 if turn % 4 == 3 else 3)
    prompt = f"{fault} Question {turn} of phase {phase}: {padding}"
    if slug == "embed":
        return Ask(f"@{slug}:1" if turn % 4 == 2 else f"@{slug}", prompt, embeddings=True, extra={"user": "u1"})
    ask = Ask(
        f"@{slug}:1" if turn % 4 == 2 else f"@{slug}",
        prompt,
        (turn + place) % 3 == 1,
        _EXTRAS[(phase + turn + 3 * place) % len(_EXTRAS)],
    )
    if (turn + 2 * place) % 7 == 6:
        return replace(ask, prompt=f"<any hang> {prompt}", leaves=True)
    return ask
