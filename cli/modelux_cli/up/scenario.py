"""How the demo's simulated providers behave: plausible latencies, a few errors, one outage."""

from __future__ import annotations

from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario, Window

OUTAGE = Window(from_s=20, until_s=45)
"""Seconds after the start in which the first provider of `@production` answers 529 or nothing."""

_LATENCIES = {
    # model glob: median ms to the first token, spread, ms per token, output tokens, share of words of its own
    "claude-haiku-*": (45, 0.35, 0.5, 90, 0.04),
    "claude-sonnet-*": (90, 0.4, 1.0, 160, 0.02),
    "gpt-4o": (70, 0.4, 0.8, 140, 0.02),
    "gpt-4o-mini": (35, 0.35, 0.4, 90, 0.04),
    "gemini-*": (50, 0.5, 0.3, 110, 0.06),
}


def demo() -> Scenario:
    """Latencies are a tenth of real ones, so that a few thousand calls fit into a minute."""
    rules = [
        Rule(
            match=Match(model=model),
            behaviour=Behaviour(
                ttft_ms=ttft_ms,
                ttft_sigma=sigma,
                per_token_ms=per_token_ms,
                per_token_sigma=0.2,
                output_tokens=tokens,
                output_sigma=0.5,
                own_words=own_words,
            ),
        )
        for model, (ttft_ms, sigma, per_token_ms, tokens, own_words) in _LATENCIES.items()
    ]
    rules += [
        Rule(match=Match(dialect="openai"), rate=0.01, behaviour=Behaviour(status=429, retry_after="1")),
        Rule(match=Match(dialect="google"), rate=0.01, behaviour=Behaviour(status=503)),
        Rule(match=Match(dialect="anthropic"), rate=0.6, window=OUTAGE, behaviour=Behaviour(status=529)),
        Rule(match=Match(dialect="anthropic"), rate=0.1, window=OUTAGE, behaviour=Behaviour(hang_headers=True)),
    ]
    return Scenario(rules=tuple(rules), keep_calls=10_000)
