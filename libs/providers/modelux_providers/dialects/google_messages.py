"""OpenAI messages as Gemini contents: instructions apart, results named after their calls, thought signatures put
back.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from modelux_providers.dialects import chat
from modelux_providers.dialects.chat import Message, Part, Refused, ToolCall

Piece: TypeAlias = dict[str, object]

NO_SIGNATURE = "skip_thought_signature_validator"
"""Google's documented stand-in for a call that did not come from Gemini, or whose signature was lost on the way."""


class Contents:
    """Folds messages into contents. `needs_signatures`: the model refuses a step whose first call is unsigned."""

    def __init__(self, needs_signatures: bool) -> None:
        self.system: list[Piece] = []
        self.emulated: list[str] = []
        self.dropped: list[str] = []
        self._turns: list[tuple[str, list[Piece]]] = []
        self._names: dict[str, str] = {}
        self._needs_signatures = needs_signatures

    def written(self) -> list[object]:
        return [{"role": role, "parts": parts} for role, parts in self._turns]

    def fold(self, messages: Sequence[Message]) -> None:
        """Adds every message in order. Raises Refused for content that Gemini cannot take."""
        for place, message in enumerate(messages):
            where = f"messages[{place}]"
            match message.role:
                case "system" | "developer" if not self._turns:
                    self.system += [self._piece(part, f"{where}.content") for part in message.parts]
                case "system" | "developer":
                    self.emulated.append(f"{where}.role")  # Kept in its place, marked, since order may matter.
                    self._add("user", [{"text": f"<system>\n{message.text}\n</system>"}])
                case "user":
                    self._add("user", [self._piece(part, f"{where}.content") for part in message.parts])
                case "assistant":
                    self._add("model", self._assistant(message, where))
                case "tool":
                    self._add("user", [self._result(message, where)])
                case role:
                    raise Refused(f"Unknown role {role!r}.", f"{where}.role", "invalid_value")

    def _add(self, role: str, pieces: list[Piece]) -> None:
        if not pieces:
            return
        if self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(pieces)
        else:
            self._turns.append((role, pieces))

    def _assistant(self, message: Message, where: str) -> list[Piece]:
        pieces = [self._piece(part, f"{where}.content") for part in message.parts]
        if message.refusal:
            pieces.append({"text": message.refusal})
        signature = message.extra_content.google if message.extra_content else None
        if pieces and signature and signature.thought_signature:
            pieces[-1]["thoughtSignature"] = signature.thought_signature
        for place, call in enumerate(message.tool_calls or ()):
            pieces.append(self._call(call, f"{where}.tool_calls[{place}]", first=place == 0))
        return pieces

    def _call(self, call: ToolCall, where: str, *, first: bool) -> Piece:
        if call.function is None:
            raise Refused("Only function calls can be handed back.", f"{where}.type")
        self._names[call.id] = call.function.name
        written: Piece = {"name": call.function.name, "args": _object(call.function.arguments) or {}} | _id(call.id)
        signature = call.signature or (NO_SIGNATURE if first and self._needs_signatures else None)
        return {"functionCall": written} | ({"thoughtSignature": signature} if signature else {})

    def _result(self, message: Message, where: str) -> Piece:
        call_id = message.tool_call_id or ""
        name = self._names.get(call_id)
        if name is None:
            raise Refused(f"No earlier tool call has the id {call_id!r}.", f"{where}.tool_call_id", "invalid_value")
        answer = _object(message.text)
        response: object = {"result": message.text} if answer is None else answer
        return {"functionResponse": {"name": name, "response": response} | _id(call_id)}

    def _piece(self, part: Part, where: str) -> Piece:
        if isinstance(part.cache_control, msgspec.Raw):
            self.dropped.append("cache_control")
        match part:
            case Part(type="text"):
                return {"text": part.text}
            case Part(type="refusal"):
                return {"text": part.refusal or ""}
            case Part(type="image_url", image_url=image) if image is not None:
                if isinstance(image, chat.ImageUrl) and image.detail not in (None, "auto"):
                    self.dropped.append("image_url.detail")
                return _blob(chat.url_of(part), f"{where}.image_url.url", "image/jpeg")
            case Part(type="input_audio", input_audio=chat.Audio(data=data, format=kind)):
                return {"inlineData": {"mimeType": f"audio/{kind}", "data": data}}
            case Part(type="file", file=chat.File(file_data=str(data))):
                return _blob(data, f"{where}.file.file_data", "application/pdf")
            case _:
                raise Refused(f"Gemini takes no content of type {part.type!r} given this way.", where, "invalid_value")


def _blob(url: str, where: str, default: str) -> Piece:
    data = chat.inline(url, where)
    if data is not None:
        return {"inlineData": {"mimeType": data[0], "data": data[1]}}
    kind = mimetypes.guess_type(url.partition("?")[0])[0] or default
    return {"fileData": {"mimeType": kind, "fileUri": url}}


def _object(text: str) -> msgspec.Raw | None:
    """The text itself where it is a JSON object."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return None
    return msgspec.Raw(text.encode())


def _id(call_id: str) -> Piece:
    """Ids that Gemini gave go back to it; ours (`call_…`) it does not know, results then follow the order of the
    calls.
    """
    return {} if call_id.startswith("call_") else {"id": call_id}
