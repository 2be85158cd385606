"""Find texts that speak to a judge instead of answering, and remove what only a judge would see.

The list of cues is a sieve, not a proof: it knows English and the marks of chat formats. What gets through meets a
judge that is told not to obey; how often it obeys all the same is measured by planting (see `canaries.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_JOINERS = "\u200c\u200d"
"""Invisible, but scripts and emoji need them."""
_ANSWER = r"(?:answers?|responses?|outputs?|completions?|repl(?:y|ies)|candidates?|baselines?|assistants?|submissions?)"
_JUDGE = r"(?:evaluators?|judges?|graders?|raters?|assessors?|scorers?|annotators?|evaluating|grading|judging)"
_PRAISE = (
    r"(?:better|best|superior|winn(?:er|ing)|wins?|prefer(?:red|able)?|equal(?:ly)?|equivalent|tied?|worse|inferior)"
)
_CHOOSE = r"(?:choose|chosen|prefer|select|pick|favou?r|vote|rank|rate|score|declare|mark|award|give)"
_RULES = (
    r"(?:instructions?|rubric|criteria|criterion|prompts?|rules?|guidelines?|directives?|messages?|evaluation|quality)"
)
_NEAR, _FAR = r"\b[^.?!\n]{0,40}\b", r"\b[^.?!\n]{0,60}\b"
_LINE = r"^[^\w\n]*"
_THAT = r"(?:this|my|that|the (?:first|second|other|above|following|last))"
_NAME = r"(?:b\b|[12]\b|a(?=\W*(?:$|[.,;:!?\"')\n])))"
"""An answer by its letter or number; "a" alone is an article."""
_CUES: Mapping[str, tuple[str, ...]] = {
    "dictates a reply": (
        r"[\"'`{]\s{0,20}(?:verdict|check|winner|preference)[\"'`]?\s{0,20}[:=]",
        r"\bverdict\s{0,20}(?:[:=]|is|must|should|to)",
        r"\bwinner[\"'`]?\s{0,20}[:=>]",
        rf"\bwinner\s+is\s+(?:the\s+)?(?:{_NAME}|{_ANSWER}|first|second)",
        r"\bevaluation[\s_]+(?:overrid\w+|complete|note|result|guidance|update|criteria\s+update)\b",
        r"\bfinal[\s_]+(?:answer|verdict|decision)\s{0,20}[:=]\s{0,20}[\"'(]?[ab]\b",
    ),
    "speaks to a judge": (
        rf"\b(?:to|dear|note|attention|hey|hello|as|for|you){_NEAR}{_JUDGE}\b",
        rf"{_LINE}{_JUDGE}(?:'s\s+\w+)?\W{{0,3}}[:,—\]-]",
        rf"\b{_JUDGE}{_FAR}(?:must|should|please|{_CHOOSE}|{_PRAISE})\b",
        r"\byou are (?:now|no longer)\b[^.?!\n]{0,60}\b(?:\w*bot|assistant|ai|model|mode|evaluat\w+|judg\w+)\b",
    ),
    "overrides its orders": (
        rf"\b(?:ignor|disregard|forget|overrid|bypass|supersed)(?:e[sd]?|s|ing|ed)?{_FAR}{_RULES}\b",
        rf"\b(?:new|updated|real|actual|hidden|system|scoring)\s+{_RULES}(?:\s+v?[\d.]+)?\s{{0,20}}[:=]",
    ),
    "asks for preference": (
        rf"\b{_CHOOSE}{_NEAR}{_THAT}\s+(?:\w+\s+)?{_ANSWER}\b",
        rf"\b{_CHOOSE}\s+(?:(?:both|the)\s+)?{_ANSWER}\b",
        rf"\b(?:choose|select|pick|prefer|vote for)[\s_]+{_NAME}",
        rf"\b{_CHOOSE}\s+(?:the\s+)?(?:maximum|highest|full|top|best)\s+(?:points|scores?|marks?|ratings?)\b",
    ),
    "ranks the answers": (
        rf"\b(?:this|my|first|second|other|above|both|candidate|baseline)\s+(?:\w+\s+)?{_ANSWER}{_FAR}{_PRAISE}\b",
        rf"\b{_ANSWER}\s+(?:[ab12]|one|two){_FAR}{_PRAISE}\b",
        rf"\b{_ANSWER}\s+scores?\s+\d",
        r"\b[ab] wins\b",
    ),
    "forges a frame": (
        r"<\|?(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|?>|\[/?(?:inst|sys|system)\]|<</?sys>>",
        rf"{_LINE}(?:system|developer)\s*(?:message|prompt|note|override)?\s*[:>]",
        rf"\b(?:begin|end)\s+(?:of\s+)?{_ANSWER}\b|</{_ANSWER}[\w-]*>|<\W?winner\b",
    ),
}
CUES = {name: re.compile("|".join(each), re.MULTILINE) for name, each in _CUES.items()}


def steering(text: str) -> tuple[str, ...]:
    """The kinds of cue found in a text, none for one that only answers. Case and look-alike forms do not hide them."""
    if any(_is_tag(char) for char in text):
        return ("hides text", *_found(text))
    return _found(text)


def visible(text: str) -> str:
    """The text without control, direction-changing and other invisible characters, which can carry hidden orders."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if char in "\n\t" or char in _JOINERS or _is_seen(char))


def _found(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKC", visible(text)).casefold().replace("’", "'")
    return tuple(name for name, cue in CUES.items() if cue.search(plain))


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _is_tag(char: str) -> bool:
    """A character of the block that mirrors ASCII invisibly."""
    return 0xE0000 <= ord(char) <= 0xE007F
