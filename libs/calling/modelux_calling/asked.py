"""One request that calls are made for: what was asked, in whose name, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_calling.openai_shapes import ChatBody, EmbeddingsBody
from modelux_calling.purse import Purse
from modelux_calling.tenants import Project
from modelux_providers.call import ProviderCall
from modelux_providers.drive import Driven
from routing_core.config import NamedPolicy
from routing_core.engine import Run
from routing_core.types import Request


class Asked:
    """Filled by who takes the request, then by the drive, then by the answer; read by the record."""

    __slots__ = (
        "arrived_ns",
        "arrived_us",
        "body",
        "call_id",
        "driven",
        "error_code",
        "first_sent_ns",
        "headers",
        "key_id",
        "policy",
        "project",
        "purse",
        "raw",
        "request",
        "response_body",
        "response_id",
        "run",
        "status",
        "stream",
    )

    def __init__(
        self,
        project: Project,
        policy: NamedPolicy,
        request: Request,
        body: ChatBody | EmbeddingsBody,
        raw: bytes,
        headers: Mapping[bytes, bytes],
        arrived_us: int,
        arrived_ns: int,
    ) -> None:
        """`raw` is the body as it came; `headers` are the caller's, in lower case; `arrived_ns` is monotonic."""
        self.project = project
        self.policy = policy
        self.request = request
        self.body = body
        self.raw = raw
        self.headers = headers
        self.arrived_us = arrived_us
        self.arrived_ns = arrived_ns
        self.stream = request.stream
        self.call_id = request.request_id
        """How the record names it: other than the request where that is asked again in its turn."""
        self.key_id = request.key_id
        self.driven: Driven[ProviderCall] = Driven()
        self.run: Run | None = None
        self.purse: Purse | None = None
        """None where no budget may hold."""
        self.status = 0
        self.error_code: str | None = None
        self.response_id = ""
        self.response_body = b""
        self.first_sent_ns = 0
