"""One accepted request of the proxy on its way, with the exchange that it came by and the key that it was sent with."""

from __future__ import annotations

from modelux_calling.asked import Asked
from modelux_calling.openai_shapes import ChatBody, EmbeddingsBody
from modelux_calling.tenants import Key
from modelux_proxy.exchange import Exchange
from routing_core.config import NamedPolicy
from routing_core.types import Request


class Context(Asked):
    """Filled by admission, then by the drive, then by the answer; read by the record."""

    __slots__ = ("exchange", "idempotency_key", "key", "limit_lines", "recorded", "slot", "text")

    def __init__(
        self,
        exchange: Exchange,
        key: Key,
        policy: NamedPolicy,
        request: Request,
        body: ChatBody | EmbeddingsBody,
        arrived_us: int,
    ) -> None:
        super().__init__(
            key.project, policy, request, body, exchange.body, exchange.headers, arrived_us, exchange.arrived_ns
        )
        self.exchange = exchange
        self.key = key
        self.text = False
        """Certain to be about text alone (`openai_schema.read_chat`)."""
        self.limit_lines = b""
        self.idempotency_key = ""
        self.slot = -1
        self.recorded = False
