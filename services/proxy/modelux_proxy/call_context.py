"""One accepted request on its way: what was asked, by whom, and what is known of it so far."""

from __future__ import annotations

from modelux_providers.call import ProviderCall
from modelux_providers.drive import Driven
from modelux_proxy.exchange import Exchange
from modelux_proxy.openai_shapes import ChatBody, EmbeddingsBody
from modelux_proxy.purse import Purse
from modelux_proxy.tenants import Key
from routing_core.config import NamedPolicy
from routing_core.engine import Run
from routing_core.types import Request


class Context:
    """Filled by admission, then by the drive, then by the answer; read by the record."""

    __slots__ = (
        "arrived_us",
        "body",
        "driven",
        "end_user_id",
        "error_code",
        "exchange",
        "first_sent_ns",
        "idempotency_key",
        "key",
        "limit_lines",
        "policy",
        "purse",
        "recorded",
        "request",
        "response_body",
        "response_id",
        "run",
        "slot",
        "status",
        "stream",
        "text",
    )

    def __init__(
        self,
        exchange: Exchange,
        key: Key,
        policy: NamedPolicy,
        request: Request,
        body: ChatBody | EmbeddingsBody,
        arrived_us: int,
    ) -> None:
        self.exchange = exchange
        self.key = key
        self.policy = policy
        self.request = request
        self.body = body
        self.arrived_us = arrived_us
        self.stream = request.stream
        self.text = False
        """Certain to be about text alone (`openai_schema.read_chat`)."""
        self.limit_lines = b""
        self.idempotency_key = ""
        self.driven: Driven[ProviderCall] = Driven()
        self.run: Run | None = None
        self.purse: Purse | None = None
        """None where no budget may hold."""
        self.slot = -1
        self.recorded = False
        self.status = 0
        self.error_code: str | None = None
        self.response_id = ""
        self.response_body = b""
        self.first_sent_ns = 0
