"""The embedder behind an endpoint: batches, retries, refusals and answers that are none, against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from modelux_embedding import endpoint
from modelux_embedding.embedder import EmbedderFailed
from modelux_embedding.endpoint import Endpoint
from modelux_providers.client import Client
from modelux_providers.egress import Guard
from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario
from modelux_providers.simulator.server import Simulator

MODEL = "text-embedding-3-small"
KEY = "sk-secret-key"


class Naps:
    """A sleep that only keeps how long it was asked for."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@asynccontextmanager
async def asked(
    scenario: Scenario | None = None, *, private: bool = True
) -> AsyncIterator[tuple[Endpoint, Simulator, Naps]]:
    async with Simulator.start(scenario or Scenario()) as simulator:
        naps = Naps()
        made = Endpoint(Client(Guard()), f"{simulator.url}/v1", KEY, MODEL, allow_private=private, sleep=naps)
        yield made, simulator, naps
        await made.close()


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """The base URL of a server that gives every request the same answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_texts_become_vectors_of_length_1_in_their_order() -> None:
    texts = [f"text number {number}" for number in range(300)]
    async with asked() as (embedder, simulator, _):
        vectors = await embedder.embed(texts)
        calls = simulator.calls()
        alone = await embedder.embed([texts[217]])
    assert vectors.shape == (300, 1536)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert np.allclose(vectors[217], alone[0], atol=1e-6)
    assert len(calls) == 3
    assert {(call.path, call.model) for call in calls} == {("/v1/embeddings", MODEL)}


def test_the_name_says_where_the_model_is() -> None:
    assert _named("https://api.openai.com/v1/") == MODEL
    assert _named("http://gpu.internal:8000/v1") == f"{MODEL}@gpu.internal:8000"


def _named(url: str) -> str:
    return Endpoint(None, url, "", MODEL).name  # type: ignore[arg-type]  # no call is made


@pytest.mark.parametrize("url", ["", "api.openai.com", "ftp://host/v1", "https://user:pass@host/v1"])
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        _named(url)


async def test_what_passes_is_tried_again_when_the_endpoint_says() -> None:
    rules = (
        Rule(behaviour=Behaviour(status=429, retry_after="7"), times=1),
        Rule(behaviour=Behaviour(status=503), skip=1, times=1),
    )
    async with asked(Scenario(rules=rules)) as (embedder, _, naps):
        assert (await embedder.embed(["a"])).shape == (1, 1536)
    assert naps.taken == [7.0, 1.0]


async def test_what_does_not_pass_is_given_up_in_the_end() -> None:
    async with asked(Scenario(behaviour=Behaviour(status=503))) as (embedder, simulator, naps):
        with pytest.raises(EmbedderFailed, match="status 503") as failed:
            await embedder.embed(["a"])
        assert len(simulator.calls()) == endpoint.TRIES
    assert failed.value.passing
    assert len(naps.taken) == endpoint.TRIES - 1


async def test_a_refused_key_is_not_tried_again_and_not_told() -> None:
    async with asked(Scenario(behaviour=Behaviour(status=401))) as (embedder, simulator, _):
        with pytest.raises(EmbedderFailed, match="status 401") as failed:
            await embedder.embed(["a"])
        assert len(simulator.calls()) == 1
    assert not failed.value.passing
    assert "_API_KEY" in failed.value.hint
    assert KEY not in str(failed.value) + failed.value.hint


async def test_a_private_address_is_not_reached_unless_the_operator_says_so() -> None:
    async with asked(private=False) as (embedder, simulator, naps):
        with pytest.raises(EmbedderFailed, match="https"):
            await embedder.embed(["a"])
        assert simulator.calls() == []
    assert naps.taken == []


async def test_one_refused_text_does_not_sink_the_others() -> None:
    """Refused as long as it holds the word at its end: halved, it no longer does."""
    rules = (Rule(match=Match(prompt="too-many-tokens"), behaviour=Behaviour(status=400)),)
    texts = ["a", "b", "x" * 3_000 + "too-many-tokens", "c"]
    async with asked(Scenario(rules=rules)) as (embedder, _, _naps):
        vectors = await embedder.embed(texts)
        assert np.allclose(vectors[3], (await embedder.embed(["c"]))[0], atol=1e-6)
        with pytest.raises(EmbedderFailed, match="refuses a text"):
            await embedder.embed(["too-many-tokens"])
    assert vectors.shape[0] == 4


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        pytest.param(Behaviour(body="html"), "something else", id="a page"),
        pytest.param(Behaviour(body="null"), "something else", id="null"),
        pytest.param(Behaviour(body="empty"), "something else", id="nothing"),
        pytest.param(Behaviour(body="error"), "something else", id="an error inside a 200"),
    ],
)
async def test_an_answer_that_is_none_is_told(behaviour: Behaviour, told: str) -> None:
    async with asked(Scenario(behaviour=behaviour)) as (embedder, _, _naps):
        with pytest.raises(EmbedderFailed, match=told):
            await embedder.embed(["a"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(b'{"data": [{"index": 0, "embedding": [1, 0]}]}', "1 vectors for 2", id="one is missing"),
        pytest.param(
            b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}', "for 2 texts", id="one twice"
        ),
        pytest.param(
            b'{"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": [1]}]}', "empty vector", id="empty"
        ),
        pytest.param(
            b'{"data": [{"index": 0, "embedding": [0]}, {"index": 1, "embedding": [1]}]}', "empty vector", id="zeros"
        ),
        pytest.param(
            b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}', "lengths", id="lengths"
        ),
    ],
)
async def test_vectors_that_do_not_fit_the_texts_are_told(body: bytes, told: str) -> None:
    async with answering(body) as url:
        embedder = Endpoint(Client(Guard()), url, "", MODEL, allow_private=True)
        with pytest.raises(EmbedderFailed, match=told):
            await embedder.embed(["a", "b"])
        await embedder.close()
