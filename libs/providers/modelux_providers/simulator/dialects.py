"""The three dialects side by side: respond, refuse, list models, and put a scripted body in place of the right one."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from modelux_providers.simulator import anthropic_answer, gemini_answer, openai_answer
from modelux_providers.simulator.scenario import Behaviour, Dialect
from modelux_providers.simulator.words import Ask, Refusal, Reply, Response, Tokens

MESSAGES = {
    400: "The request is invalid.",
    401: "Incorrect API key provided.",
    402: "Your credit balance is too low.",
    403: "You are not allowed to do this.",
    404: "The model does not exist or you do not have access to it.",
    408: "The request timed out.",
    413: "The request is too large.",
    429: "Rate limit reached. Please try again later.",
    500: "The server had an error while processing your request.",
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    529: "Overloaded",
}
_HTML = (
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>"
    b"<p>cloudflare</p><!-- upstream key sk-simulator-canary-0123456789abcdef --></body></html>"
)


def respond(ask: Ask, reply: Reply, behaviour: Behaviour) -> Response:
    """The healthy response in the dialect of the request."""
    match ask.dialect:
        case "openai":
            return openai_answer.respond(ask, reply, behaviour)
        case "anthropic":
            return anthropic_answer.respond(ask, reply, behaviour)
        case "google":
            return gemini_answer.respond(ask, reply, behaviour)


def refuse(ask: Ask, refusal: Refusal, behaviour: Behaviour) -> bytes:
    """The error body in the dialect of the request."""
    match ask.dialect:
        case "openai":
            return openai_answer.refuse(refusal, behaviour)
        case "anthropic":
            return anthropic_answer.refuse(refusal)
        case "google":
            return gemini_answer.refuse(refusal, ask.model, behaviour.retry_after)


def models(ask: Ask, names: tuple[str, ...], created: int) -> bytes:
    """The listing of models, or the one that is named."""
    match ask.dialect:
        case "openai":
            one = openai_answer.model(ask.model, created) if ask.model else None
            return msgspec.json.encode(one) if one else openai_answer.models(names, created)
        case "anthropic":
            return anthropic_answer.models(names, created)
        case "google":
            return gemini_answer.models(names)


def bad_key(dialect: Dialect) -> Refusal:
    """How each provider says that it does not know the credential; Gemini says 400."""
    match dialect:
        case "openai":
            return Refusal(401, "Incorrect API key provided.", "invalid_api_key")
        case "anthropic":
            return Refusal(401, "invalid x-api-key")
        case "google":
            return Refusal(400, "API key not valid. Please pass a valid API key.")


def content_type(ask: Ask) -> str:
    return "application/json; charset=UTF-8" if ask.dialect == "google" else "application/json"


def dressed(response: Response, behaviour: Behaviour, ask: Ask) -> Response:
    """Return the response with the scripted status, and with the scripted body instead of its own."""
    status = behaviour.status or response.status
    match behaviour.body:
        case "html":
            return Response(status, Tokens(), _HTML, "text/html; charset=utf-8")
        case "text":
            return Response(status, Tokens(), b"upstream connect error", "text/plain")
        case "null":
            return Response(status, Tokens(), b"null", content_type(ask))
        case "empty":
            return Response(status, Tokens(), b"", "")
        case "truncated":
            return Response(status, response.tokens, response.body[: len(response.body) // 2], content_type(ask))
        case _:
            if status in (204, 304) or 300 <= status < 400:
                return Response(status, Tokens(), b"", "")
            return replace(response, status=status)
