"""What policies weigh in a complete answer: text, how it ended, tool calls, refusal, how sure the model was."""

from __future__ import annotations

import msgspec

from modelux_providers.dialects.lenient import decode
from routing_core.types import Answer


class _Logprob(msgspec.Struct):
    logprob: float = 0.0


class _Logprobs(msgspec.Struct):
    content: list[_Logprob] | None = None


class _TextPart(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_TextPart] | None = None
    refusal: str | None = None
    tool_calls: list[object] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


def answer_of(body: bytes) -> Answer:
    """The first choice of a chat completion. An empty Answer where the body is none (embeddings, another shape)."""
    completion = decode(body, _Completion)
    if completion is None or not completion.choices or (message := completion.choices[0].message) is None:
        return Answer()
    choice = completion.choices[0]
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text or "" for part in content or ())
    return Answer(
        text=text,
        finish_reason=choice.finish_reason,
        tool_calls=len(message.tool_calls or ()),
        refusal=bool(message.refusal) or choice.finish_reason == "content_filter",
        logprob_mean=_mean(choice.logprobs),
    )


def _mean(logprobs: _Logprobs | None) -> float | None:
    values = [token.logprob for token in (logprobs and logprobs.content) or ()]
    return sum(values) / len(values) if values else None
