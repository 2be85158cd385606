"""Gemini's candidates as OpenAI choices; what its stream shares with them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from modelux_providers.dialects import fault, usage
from modelux_providers.dialects.base import ProviderError
from modelux_providers.dialects.completion import Choice, ToolCall
from modelux_providers.dialects.lenient import NULL
from routing_core.types import Usage, UsageExtras

_FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)
"""Gemini ended because its own output was unusable: an error, never a `stop`."""


class FunctionCall(msgspec.Struct):
    name: str = ""
    args: msgspec.Raw = msgspec.Raw(b"{}")
    id: str = ""


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct):
    parts: list[Part] = []


class _Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _TopTokens(msgspec.Struct):
    candidates: list[_Token] = []


class Logprobs(msgspec.Struct, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_TopTokens] = []


class Candidate(msgspec.Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: int = 0
    logprobs_result: Logprobs | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Gemini's counts, as untrusted as they come. Thoughts are counted beside the candidates, tool prompts beside
    the prompt.
    """

    prompt_token_count: object = None
    candidates_token_count: object = None
    thoughts_token_count: object = None
    cached_content_token_count: object = None
    tool_use_prompt_token_count: object = None
    prompt_tokens_details: object = None
    tool_use_prompt_tokens_details: object = None
    cache_tokens_details: object = None
    candidates_tokens_details: object = None

    def usage(self) -> Usage | None:
        """OpenAI's sums, or None where a number cannot be believed."""
        counts = (
            self.prompt_token_count,
            self.tool_use_prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
        )
        prompt, tools, output, thoughts = (usage.count(n or 0) for n in counts)
        if prompt is None or tools is None or output is None or thoughts is None:
            return None
        cached = usage.count(self.cached_content_token_count) or 0
        return usage.believable(
            prompt + tools, output + thoughts, cache_read=cached, reasoning=thoughts, extras=self._extras()
        )

    def _extras(self) -> UsageExtras | None:
        prompt = _modalities(self.prompt_tokens_details, self.tool_use_prompt_tokens_details)
        answer = _modalities(self.candidates_tokens_details)
        if not prompt and not answer:
            return None
        return UsageExtras(
            input_audio=prompt.get("AUDIO", 0),
            cache_audio_read=_modalities(self.cache_tokens_details).get("AUDIO", 0),
            input_image=prompt.get("IMAGE", 0) + prompt.get("VIDEO", 0),
            output_audio=answer.get("AUDIO", 0),
            output_image=answer.get("IMAGE", 0) + answer.get("VIDEO", 0),
        )


def _modalities(*lists: object) -> dict[str, int]:
    """Tokens by kind of content other than text and documents."""
    found: dict[str, int] = {}
    for entry in (entry for each in lists if isinstance(each, list) for entry in each):
        kind = entry.get("modality") if isinstance(entry, dict) else None
        if kind in ("AUDIO", "IMAGE", "VIDEO"):
            found[kind] = found.get(kind, 0) + (usage.count(entry.get("tokenCount")) or 0)
    return found


class Response(msgspec.Struct, rename="camel"):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] = []
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str = ""
    response_id: str = ""
    error: msgspec.Raw = NULL

    @property
    def blocked(self) -> bool:
        """The prompt itself was refused: there are no candidates."""
        return self.prompt_feedback is not None and self.prompt_feedback.block_reason is not None


def finish_reason(reason: str, tool_calls: int) -> str:
    """OpenAI's reason. `STOP`, and reasons we do not know, are `tool_calls` where a call was made."""
    known = _FINISH.get(reason, "stop")
    return "tool_calls" if known == "stop" and tool_calls else known


def broken(reason: str | None) -> ProviderError | None:
    """The error in a finish reason that says the output was unusable."""
    if reason not in _BROKEN:
        return None
    return ProviderError(502, f"Gemini stopped with {reason}.", type="api_error", code=reason.lower(), kind="invalid")


def choices(response: Response, answer_id: str) -> list[Choice] | ProviderError:
    """The candidates as choices; a blocked prompt is an empty, filtered choice."""
    if not response.candidates:
        return (
            [Choice(finish_reason="content_filter")] if response.blocked else fault.invalid("Gemini gave no candidate.")
        )
    out = []
    for candidate in response.candidates:
        error = broken(candidate.finish_reason)
        if error is not None:
            return error
        out.append(_choice(candidate, answer_id))
    return out


def _choice(candidate: Candidate, answer_id: str) -> Choice:
    made = Choice(index=candidate.index)
    calls: list[ToolCall] = []
    for part in candidate.content.parts if candidate.content else ():
        if part.function_call is not None:
            calls.append(tool_call(part, part.function_call, answer_id, candidate.index, len(calls)))
        elif part.thought:
            made.reasoning += part.text or ""
        else:
            made.text += part.text or ""
            made.signature = part.thought_signature or made.signature
    made.tool_calls = calls
    made.finish_reason = finish_reason(candidate.finish_reason or "STOP", len(calls))
    made.logprobs = logprobs(candidate.logprobs_result)
    return made


def tool_call(part: Part, call: FunctionCall, answer_id: str, index: int, place: int) -> ToolCall:
    """A call with Gemini's id, else one of ours that is the same however the answer was delivered."""
    ours = "call_" + hashlib.sha256(f"{answer_id}/{index}/{place}".encode()).hexdigest()[:24]
    return ToolCall(call.id or ours, call.name, bytes(call.args).decode(), part.thought_signature)


def logprobs(result: Logprobs | None) -> object:
    """OpenAI's `logprobs` member; None where Gemini sent none."""
    if result is None:
        return None
    tops: Sequence[_TopTokens] = result.top_candidates
    content = []
    for place, token in enumerate(result.chosen_candidates):
        top = tops[place].candidates if place < len(tops) else []
        content.append(_token(token) | {"top_logprobs": [_token(each) for each in top]})
    return {"content": content, "refusal": None}


def _token(token: _Token) -> dict[str, object]:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}
