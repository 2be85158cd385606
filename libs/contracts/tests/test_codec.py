"""Events survive the wire; what is not an event is refused."""

import json

import pytest

from modelux.events.v1.config_pb2 import ConfigChanged
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_contracts.codec import Undecodable, decode, encode, headers
from modelux_contracts.errors import OpenAIError, Problem
from modelux_contracts.topics import TOPICS, partitions


def test_an_event_survives_the_wire() -> None:
    event = RequestCompleted(request_id="req_1", tags={"run_id": "r"}, cost_nano=12)
    assert decode(RequestCompleted, encode(event), headers("request.completed")) == event


@pytest.mark.parametrize(
    ("value", "topic"),
    [
        pytest.param(b"", "request.completed", id="empty"),
        pytest.param(b"\xff\xff\xff", "request.completed", id="garbage"),
        pytest.param(encode(ConfigChanged(entity="key")), "config.changed", id="another message"),
    ],
)
def test_what_is_not_the_event_is_refused(value: bytes, topic: str) -> None:
    with pytest.raises(Undecodable):
        decode(RequestCompleted, value, headers(topic))


def test_every_topic_has_dead_letters() -> None:
    assert {f"{name}.dlq" for name in TOPICS} < set(partitions())


def test_the_openai_envelope_has_exactly_four_keys() -> None:
    body = OpenAIError(404, "no such model 'x'", code="model_not_found").body()
    assert json.loads(body) == {
        "error": {
            "message": "no such model 'x'",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }
    }


def test_a_problem_leaves_out_what_is_empty() -> None:
    body = Problem(404, "not_found", "Not found").body()
    assert json.loads(body) == {"type": "about:blank", "title": "Not found", "status": 404, "code": "not_found"}
