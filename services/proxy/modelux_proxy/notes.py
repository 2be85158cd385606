"""What is written down of a request when it is dispatched, and the event made of it when its end never comes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_proxy.call_context import Context


class Note(NamedTuple):
    """What is written down of a request when it is dispatched: enough to tell of it if its end never comes."""

    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    started_at_us: int
    endpoint: str
    requested_model: str
    config_slug: str
    config_version: int
    stream: bool
    end_user_id: str
    logging_mode: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Note).decode


def note(context: Context) -> bytes:
    """The `Note` of a request about to be dispatched, encoded."""
    project = context.project
    request = context.request
    return _pack(
        (
            request.request_id,
            project.organization_id,
            project.id,
            context.key.id,
            context.arrived_us,
            request.endpoint,
            request.model,
            context.policy.name,
            context.policy.version,
            request.stream,
            request.end_user_id or "",
            "full" if project.full_logging else "metadata_only",
        )
    )


def unknown(payload: bytes) -> tuple[str, str, bytes] | None:
    """Project id, request id and event of a request whose end nobody saw; None where the note is damaged."""
    try:
        left = _unpack(payload)
    except msgspec.DecodeError:
        return None
    event = RequestCompleted(outcome="unknown", ttft_us=-1, error_code="proxy_died")
    for name in Note._fields:
        setattr(event, name, getattr(left, name))
    return left.project_id, left.request_id, event.SerializeToString()
