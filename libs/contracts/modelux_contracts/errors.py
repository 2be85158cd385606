"""How errors look on the wire: OpenAI's envelope on `/v1`, RFC 9457 problems on `/manage/v1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

_encode = msgspec.json.Encoder().encode


class OpenAIError(Exception):
    """An error that the caller of `/v1` sees. `headers` are added to the answer (`retry-after`, `x-should-retry`)."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers

    def body(self) -> bytes:
        return envelope(self.message, type=self.type, code=self.code, param=self.param)


def envelope(message: str, *, type: str, code: str | None = None, param: str | None = None) -> bytes:
    """OpenAI's error body: exactly the four keys, `param` and `code` null where there is none."""
    return _encode({"error": {"message": message, "type": type, "param": param, "code": code}})


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem. `code` is stable, for programs; `errors` name fields; `hint` says how to mend it."""

    status: int
    code: str
    title: str
    detail: str = ""
    hint: str = ""
    errors: Sequence[Mapping[str, str]] = field(default_factory=tuple)

    def body(self, *, instance: str = "", request_id: str = "") -> bytes:
        """The `application/problem+json` body; empty members are left out."""
        members: dict[str, object] = {"type": "about:blank", "title": self.title}
        members |= {"status": self.status, "code": self.code}
        optional = {
            "detail": self.detail,
            "hint": self.hint,
            "errors": list(self.errors),
            "instance": instance,
            "request_id": request_id,
        }
        members.update({name: value for name, value in optional.items() if value})
        return _encode(members)


class ProblemError(Exception):
    """Raised where an operation refuses; the edge turns it into an answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
