"""Compose an answer: plausible, made from the seed and the request alone, of the length and kind that was asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from modelux_providers.simulator.judging import judged
from modelux_providers.simulator.recorded import Recorded, Recordings
from modelux_providers.simulator.samples import sample
from modelux_providers.simulator.scenario import Behaviour
from modelux_providers.simulator.vectors import vector
from modelux_providers.simulator.words import Ask, Choice, Finish, Reply, Tokens, ToolCall, draw

_OWN_SIGMA = 1.2
"""Spread of a log-normal around `own_words`: most answers say much the same, a few something else."""
_PIECE = re.compile(r"\s*\S{1,12}|\s+")
_WORDS = [
    "the",
    "answer",
    "depends",
    "on",
    "how",
    "each",
    "part",
    "behaves",
    "under",
    "load",
    "and",
    "a",
    "short",
    "example",
    "makes",
    "this",
    "clear",
    "first",
    "measure",
    "what",
    "matters",
    "then",
    "change",
    "one",
    "thing",
    "at",
    "a",
    "time",
    "keep",
    "notes",
    "compare",
    "both",
    "results",
    "carefully",
    "because",
    "small",
    "differences",
    "often",
    "come",
    "from",
    "noise",
    "in",
    "practice",
    "most",
    "teams",
    "begin",
    "with",
    "simple",
    "rules",
    "review",
    "them",
    "every",
    "week",
    "and",
    "move",
    "traffic",
    "only",
    "after",
    "evidence",
    "agrees",
]


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes replies. `seed` shifts every draw; `recordings` win over made text."""

    seed: int
    created: int
    recordings: Recordings

    def reply(self, ask: Ask, behaviour: Behaviour, digest: str) -> Reply:
        """Answer a chat or embeddings request; `digest` identifies the request's bytes, and which time they came."""
        identity = f"{self.seed}:{digest}"
        ident = f"{int(draw(identity, 'id', 1) * 2**53):014x}{int(draw(identity, 'id', 2) * 2**40):010x}"
        model = behaviour.served_model or ask.model
        prompt = behaviour.input_tokens or max(1, (len(ask.text.encode("utf-8", "replace")) + 3) // 4)
        if ask.endpoint == "embeddings":
            size = behaviour.dimensions or ask.dimensions or _dimensions(ask.model)
            vectors = tuple(vector(text, size) for text in ask.inputs)
            return Reply(ident, model, self.created, (), Tokens(input=prompt), vectors)
        recorded = self.recordings.find(ask.model, ask.prompt)
        choices = tuple(self._choice(ask, behaviour, f"{identity}:{index}", recorded) for index in range(ask.choices))
        thought = sum(_thought(behaviour, choice.reasoning) for choice in choices)
        output = sum(map(count, choices)) + thought
        if recorded is not None:
            prompt, output = recorded.input_tokens or prompt, recorded.output_tokens or output
        tokens = Tokens(
            prompt,
            output,
            min(prompt, behaviour.cached_tokens),
            behaviour.cache_write_tokens,
            min(thought, output),
        )
        return Reply(ident, model, self.created, choices, tokens, latency_ms=recorded.latency_ms if recorded else 0.0)

    def _choice(self, ask: Ask, behaviour: Behaviour, identity: str, recorded: Recorded | None) -> Choice:
        reasoning = behaviour.reasoning
        if not reasoning and (behaviour.reasoning_tokens or ask.thinking):
            reasoning = " ".join(_made(f"{identity}:why", min(behaviour.reasoning_tokens or 12, 200)))
        if behaviour.block:
            return Choice(finish="content_filter")
        if behaviour.refusal:
            return Choice(refusal=behaviour.refusal)
        tools = () if behaviour.text or recorded else _tools(ask, behaviour, identity)
        if tools:
            return Choice("", reasoning, tools, finish="tool_calls")
        whole = recorded.answer if recorded else _text(ask, behaviour, identity)
        text, finish = _limited(whole, ask, _thought(behaviour, reasoning))
        return Choice(text, reasoning, finish=finish)


def pieces(text: str) -> list[str]:
    """Cut a text into the simulator's tokens; joined they give the text again."""
    return _PIECE.findall(text)


def count(choice: Choice) -> int:
    """The output tokens of a choice, without hidden reasoning."""
    texts = (choice.text, choice.refusal, *(f"{tool.name} {tool.arguments}" for tool in choice.tools))
    return sum(len(pieces(text)) for text in texts)


def _thought(behaviour: Behaviour, reasoning: str) -> int:
    """The tokens of a choice's reasoning: as many as were scripted, else those that are visible."""
    return behaviour.reasoning_tokens or len(pieces(reasoning))


def _text(ask: Ask, behaviour: Behaviour, identity: str) -> str:
    if behaviour.surrogate or behaviour.invalid_utf8:  # Marks that the wire turns into broken bytes.
        return "Broken \ue000 here." if behaviour.surrogate else "Broken \ue001 here."
    if behaviour.text:
        return behaviour.text
    if ask.schema is not None:
        return judged(ask) or sample(ask.schema, identity)
    if ask.json_mode:
        return '{"answer": "' + " ".join(_made(identity, 8)) + '"}'
    if behaviour.own_words >= 1.0:
        return _prose(ask.prompt, identity, identity, 1.0, _length(behaviour, identity))
    shared = f"{ask.prompt}:{len(ask.text)}"
    own = behaviour.own_words * math.exp(_OWN_SIGMA * _normal(identity, "own"))
    return _prose(ask.prompt, identity, shared, own, _length(behaviour, shared))


def _length(behaviour: Behaviour, identity: str) -> int:
    if not behaviour.output_tokens:
        return 16 + int(draw(identity, "length") * 81)
    spread = behaviour.output_sigma * _normal(identity, "length")
    return max(1, round(behaviour.output_tokens * math.exp(spread)))


def _normal(*parts: object) -> float:
    return NormalDist().inv_cdf(max(1e-9, draw(*parts)))


def _prose(prompt: str, identity: str, shared: str, own: float, length: int) -> str:
    """Exactly `length` pieces: an echo of the prompt's first words, then made sentences.

    Words come from `shared`, but for a share `own` of them, which comes from `identity`.
    """
    words = [word[:12] for word in re.sub(r"\[\[sim:.*?\]\]", "", prompt, flags=re.DOTALL).split()[:8]]
    words = ["About:", *words[:-1], f"{words[-1][:11]}."] if words else []
    words += _made(identity, max(0, length - len(words)), shared, own)
    return " ".join(words[:length])


def _made(identity: str, length: int, shared: str = "", own: float = 1.0) -> Iterator[str]:
    for index in range(length):
        source = identity if own >= 1.0 or draw(identity, index, "own") < own else shared
        word = _WORDS[int(draw(source, index) * len(_WORDS))]
        first = index % 9 == 0
        last = index % 9 == 8 or index == length - 1
        yield (word.capitalize() if first else word) + ("." if last else "")


def _limited(text: str, ask: Ask, thought: int) -> tuple[str, Finish]:
    """Cut a text where the request's token limit does; reasoning counts against the limit."""
    if ask.max_tokens is None:
        return text, "stop"
    room = max(0, ask.max_tokens - thought)
    words = pieces(text)
    return (text, "stop") if len(words) <= room else ("".join(words[:room]), "length")


def _tools(ask: Ask, behaviour: Behaviour, identity: str) -> tuple[ToolCall, ...]:
    named = [tool for tool in ask.tools if tool.name == ask.tool_choice]
    offered = named or list(ask.tools)
    forced = bool(named) or ask.tool_choice == "required"
    wanted = behaviour.tool_calls if behaviour.tool_calls >= 0 else int(forced or not ask.after_tool)
    if not offered or ask.tool_choice == "none":
        return ()
    if not ask.parallel:
        wanted = min(wanted, 1)
    return tuple(
        ToolCall(
            f"{int(draw(identity, 'tool', index) * 2**53):014x}",
            offered[index % len(offered)].name,
            sample(offered[index % len(offered)].schema, f"{identity}:{index}")
            if behaviour.arguments is None
            else behaviour.arguments,
        )
        for index in range(wanted)
    )


def _dimensions(model: str) -> int:
    if "large" in model or "gemini-embedding" in model:
        return 3072
    return 768 if "text-embedding-004" in model else 1536
