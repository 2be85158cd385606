"""Find out from a method and a path which dialect and endpoint are meant; any prefix before them is accepted."""

from __future__ import annotations

import re
from urllib.parse import unquote

from modelux_providers.simulator import anthropic_ask, gemini_ask, openai_ask
from modelux_providers.simulator.scenario import Dialect
from modelux_providers.simulator.words import Ask, Refusal

_AZURE = re.compile(r"/deployments/([^/]+)/(?:chat/completions|embeddings)$")
_GEMINI = re.compile(r"/models/([^/:]+):(\w+)$")
_MODEL = re.compile(r"/models/(.+)$")


def read(method: str, target: str, body: bytes, anthropic: bool) -> Ask:
    """Read the request that `target` (path and query) means; what is not served comes back with a 404 or 405 refusal.

    `anthropic` tells the two listings of `/v1/models` apart: Anthropic's clients send `anthropic-version`.
    """
    path, _, query = target.partition("?")
    path = unquote(path)
    found = _GEMINI.search(path)
    if found:
        return _posted(method, "google") or _gemini(found[1], found[2], query, body)
    deployment = _AZURE.search(path)
    model = deployment[1] if deployment else ""
    if path.endswith("/chat/completions"):
        return _posted(method, "openai") or openai_ask.chat(body, model)
    if path.endswith("/embeddings"):
        return _posted(method, "openai") or openai_ask.embeddings(body, model)
    if path.endswith("/messages"):
        return _posted(method, "anthropic") or anthropic_ask.messages(body)
    return _listing(method, path, anthropic)


def _posted(method: str, dialect: Dialect) -> Ask | None:
    if method == "POST":
        return None
    refusal = Refusal(405, f"Not allowed to {method} on this path.", "method_not_allowed")
    return Ask(dialect, "chat", "", refusal=refusal)


def _gemini(model: str, verb: str, query: str, body: bytes) -> Ask:
    match verb:
        case "generateContent":
            return gemini_ask.generate(body, model, stream=False, sse=False)
        case "streamGenerateContent":
            return gemini_ask.generate(body, model, stream=True, sse="alt=sse" in query.split("&"))
        case "embedContent" | "batchEmbedContents":
            return gemini_ask.embed(body, model, batch=verb == "batchEmbedContents")
        case _:
            return Ask("google", "chat", model, refusal=Refusal(404, f"Unknown method {verb!r}."))


def _listing(method: str, path: str, anthropic: bool) -> Ask:
    dialect: Dialect = "google" if "/v1beta/" in path else "anthropic" if anthropic else "openai"
    one = _MODEL.search(path)
    if method == "GET" and (one or path.endswith("/models")):
        return Ask(dialect, "models", one[1] if one else "")
    return Ask(dialect, "models", "", refusal=Refusal(404, f"Invalid URL ({method} {path})", "not_found"))
