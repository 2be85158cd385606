"""Weigh answers: whether one is to be believed, and whether two say the same."""

from __future__ import annotations

import json
from hashlib import blake2b
from unicodedata import normalize

from routing_core.shapes import Confidence
from routing_core.types import Answer, Traits

_READ = 50_000
"""Characters of an answer that patterns and self-scores look at: the first for patterns, the last for scores."""
_NUMBER = frozenset("0123456789.")
_REFUSALS = (
    "i can't assist",
    "i can't help with",
    "i cannot assist",
    "i cannot help with",
    "i'm not able to help",
    "i'm sorry, but i can't",
    "i'm sorry, but i cannot",
    "i'm unable to help",
    "i am unable to help",
    "sorry, i can't",
    "sorry, i cannot",
)


def read(answer: Answer, rule: Confidence | None, *, key: str = "") -> Traits:
    """What the rule, and with a `key` the comparison, needs of the answer's text. A replayed answer brings it along."""
    if answer.traits is not None:
        return answer.traits
    digest = _digest(answer, key) if key else ""
    if rule is None:
        return Traits(digest)
    return Traits(
        digest,
        json=_is_json(answer.text) if rule.json_valid else None,
        refusal=_refuses(answer) if rule.no_refusal else None,
        score=_score(answer.text, rule.self_score.marker) if rule.self_score else None,
        matches=rule.pattern.search(answer.text[:_READ]) if rule.pattern else None,
    )


def doubt(rule: Confidence | None, answer: Answer, traits: Traits) -> str:
    """Why the answer is not believed, in words for the trace; empty where every rule holds."""
    if rule is None:
        return ""
    least, mean = rule.min_logprob_mean, answer.logprob_mean
    if least is not None and (mean is None or mean < least):
        return "no log probabilities" if mean is None else f"mean log probability {mean:.3g} below {least:g}"
    if rule.json_valid and not traits.json:
        return "not valid JSON"
    if rule.no_refusal and traits.refusal is not False:
        return "a refusal"
    wanted = rule.self_score
    if wanted is not None and (traits.score is None or traits.score < wanted.min):
        return "no score of its own" if traits.score is None else f"own score {traits.score:g} below {wanted.min:g}"
    if rule.matches is not None and not traits.matches:
        return "pattern not matched"
    return ""


def normalised(text: str) -> str:
    """The form in which answers are compared.

    JSON objects and lists: with sorted keys and no spaces. Other text: Unicode NFKC, case folded, runs of white space
    as one blank, and without quotes, full stops and the like around it.
    """
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            return json.dumps(_parsed(stripped), sort_keys=True, separators=(",", ":"))
        except (ValueError, RecursionError):
            pass
    return " ".join(normalize("NFKC", stripped).casefold().split()).strip(" .,;:!\"'`*")


def _digest(answer: Answer, key: str) -> str:
    """Keyed by the request, so that a stored trace tells nothing of a short answer's text."""
    text = f"{answer.tool_calls}:{normalised(answer.text)}"
    secret = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return blake2b(text.encode("utf-8", "surrogatepass"), key=secret, digest_size=8).hexdigest()


def _is_json(text: str) -> bool:
    try:
        _parsed(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parsed(text: str) -> object:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _refuses(answer: Answer) -> bool:
    """The provider says so, its filter cut in, or the text opens with one of the usual phrases (English only)."""
    if answer.refusal or answer.finish_reason == "content_filter":
        return True
    return answer.text[:200].replace("\u2019", "'").strip().lower().startswith(_REFUSALS)


def _score(text: str, marker: str) -> float | None:
    """The number behind the last `marker` (any case): 0 to 1, or a percentage. Anything else is no score."""
    tail = text[-_READ:].lower()
    at = tail.rfind(marker.lower())
    if at < 0:
        return None
    rest = tail[at + len(marker) :].lstrip(" \t\n:=\"'*`")
    digits = rest[: next((i for i, char in enumerate(rest) if char not in _NUMBER), len(rest))].rstrip(".")
    try:
        value = float(digits)
    except ValueError:
        return None
    if rest[len(digits) :].lstrip().startswith("%"):
        value /= 100
    return value if 0 <= value <= 1 else None
