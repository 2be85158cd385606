"""The book says what the provider saw: tokens, credentials, cancellations and their moment; control works over HTTP."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import datetime
from hashlib import sha256

import openai
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from modelux_providers.simulator.calls import fingerprint
from modelux_providers.simulator.process import spawn
from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario, Window
from modelux_providers.simulator.server import Simulator

PATH = "/v1/chat/completions"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def request(body: object, path: str = PATH, headers: str = "") -> bytes:
    data = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(data)}\r\n\r\n".encode() + data


async def test_writes_down_each_call_without_its_secret(sim, post):
    sim.use(Scenario(keep_bodies=True, behaviour=Behaviour(input_tokens=10, output_tokens=7, cached_tokens=4)))
    secret = "sk-very-secret"
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "once", "X-Other": "seen"}
    await post(sim, PATH, ASK, headers=headers)
    (call,) = sim.calls()
    assert (call.status, call.model, call.dialect, call.endpoint) == (200, "gpt-4o", "openai", "chat")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens, call.sent_tokens) == (10, 7, 4, 7)
    assert call.key == fingerprint(secret)
    assert call.idempotency_key == "once"
    assert ("x-other", "seen") in call.headers
    assert call.body == json.dumps(ASK)
    assert call.body_sha256 == sha256(call.body.encode()).hexdigest()
    assert call.ended == "completed"
    shown = await post(sim, "/simulator/calls", b"", method="GET")
    assert shown.json()["calls"][0]["number"] == 1
    assert secret.encode() not in shown.raw


@pytest.mark.parametrize(
    ("fields", "ask", "phase"),
    [
        pytest.param({"headers_ms": 60_000}, ASK, "headers", id="before the head"),
        pytest.param({"ttft_ms": 60_000}, {**ASK, "stream": True}, "headers", id="before the first event"),
        pytest.param({"per_token_ms": 60_000}, {**ASK, "stream": True}, "body", id="within the stream"),
        pytest.param({"per_token_ms": 60_000}, ASK, "headers", id="before a whole answer"),
    ],
)
async def test_notices_when_the_peer_leaves(sim, fields, ask, phase):
    sim.use(Scenario(behaviour=Behaviour(**fields)))
    _, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(request(ask))
    await sim.until(lambda calls: bool(calls) and (phase == "headers" or calls[0].sent_events > 0))
    writer.close()
    (call,) = await sim.until(lambda calls: calls[0].ended != "open")
    assert (call.ended, call.phase) == ("cancelled", phase)
    assert 0 <= call.ended_s < 60
    assert call.sent_tokens < call.output_tokens
    assert sim.stats().by_end == {"cancelled": 1}
    assert sim.stats().open == 0


async def test_notices_when_the_sdk_closes_its_stream(sim):
    sim.use(Scenario(behaviour=Behaviour(per_token_ms=30, output_tokens=500)))
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="k", max_retries=0) as client:
        stream = await client.chat.completions.create(**ASK, stream=True)
        seen = [await anext(stream) for _ in range(3)]
        await stream.close()
        (call,) = await sim.until(lambda calls: calls[0].ended != "open")
    assert len(seen) == 3
    assert call.ended == "cancelled"
    assert 2 <= call.sent_tokens < 100


async def test_stops_writing_when_the_peer_stops_reading(sim):
    """Backpressure: an endless answer to a reader that does not read stays small."""
    sim.use(Scenario(behaviour=Behaviour(pad_bytes=1 << 30)))
    _, writer = await asyncio.open_connection("127.0.0.1", sim.port, limit=1024)
    writer.write(request(ASK))
    last = -1
    async with asyncio.timeout(30):
        while not sim.calls() or sim.calls()[0].sent_bytes != last:
            last = sim.calls()[0].sent_bytes if sim.calls() else -1
            for _ in range(200):
                await asyncio.sleep(0)
    assert 0 < last < 64 << 20
    writer.transport.abort()
    await sim.until(lambda calls: calls[0].ended == "cancelled")


async def test_answers_pipelined_requests_in_order(sim):
    sim.use(Scenario(rules=(Rule(match=Match(prompt="slow"), behaviour=Behaviour(ttft_ms=20)),)))
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    asks = [{**ASK, "messages": [{"role": "user", "content": text}]} for text in ("slow 1", "quick 2", "slow 3")]
    writer.write(b"".join(map(request, asks)))
    for ask in asks:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        answer = json.loads(await reader.readexactly(size))
        assert ask["messages"][0]["content"] in answer["choices"][0]["message"]["content"]
    writer.close()


async def test_answers_bytes_that_are_no_http_with_400(sim):
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(b"\x16\x03\x01nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_invites_a_body_that_waits_to_be_invited(sim):
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    head, _, body = request(ASK, headers="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(body)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_is_controlled_over_http(sim, post):
    scenario = {"behaviour": {"status": 503}, "seed": 7}
    assert (await post(sim, "/simulator/scenario", scenario)).json()["seed"] == 7
    assert (await post(sim, PATH, ASK)).status == 503
    stats = (await post(sim, "/simulator/stats", b"", method="GET")).json()
    assert stats["by_status"] == {"503": 1}
    assert (await post(sim, "/simulator/reset", b"")).json()["calls"] == 0
    assert (await post(sim, "/simulator/calls?since=x", b"", method="GET")).status == 422
    refused = await post(sim, "/simulator/scenario", {"behaviour": {"stattus": 503}})
    assert refused.status == 422
    assert "stattus" in refused.json()["error"]
    assert (await post(sim, "/simulator/nothing", b"", method="GET")).status == 404
    assert (await post(sim, PATH, ASK)).status == 503, "a refused scenario changes nothing"


async def test_refuses_connections_as_the_system_does(sim, post):
    await sim.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        await post(sim, PATH, ASK)
    await sim.accept_connections()
    assert (await post(sim, PATH, ASK)).status == 200


async def test_serves_tls_with_any_certificate(tmp_path):
    """A client that checks certificates refuses this one; a client that trusts it is served."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2100, 1, 1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    file = tmp_path / "both.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=str(file))
    async with Simulator.start(tls=served) as sim:
        assert sim.url.startswith("https://")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("localhost", sim.port, ssl=ssl.create_default_context())
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port, ssl=trusting, server_hostname="localhost")
        writer.write(request(ASK))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()


async def test_resets_every_connection_in_a_window(post):
    async with Simulator.start(Scenario(refuse=(Window(),))) as sim:
        answer = await post(sim, PATH, ASK)
        assert (answer.raw, answer.reset) == (b"", True)
        assert sim.stats().refused_connections == 1
        sim.use(Scenario())
        assert (await post(sim, PATH, ASK)).status == 200


async def test_forgets_old_calls_but_not_the_totals(sim, post):
    sim.use(Scenario(keep_calls=2))
    for _ in range(5):
        await post(sim, PATH, ASK)
    assert [call.number for call in sim.calls()] == [4, 5]
    assert [call.number for call in sim.calls(since=4)] == [5]
    assert sim.stats().calls == 5
    assert sim.stats().by_status == {"200": 5}


async def test_runs_as_a_process(tmp_path):
    recording = tmp_path / "answers.jsonl"
    recording.write_text(json.dumps({"prompt": "Hello", "model": "gpt-4o", "answer": "Recorded words."}) + "\n")
    async with spawn(Scenario(seed=3), recordings=[recording]) as process:
        async with openai.AsyncOpenAI(base_url=f"{process.url}/v1", api_key="k", max_retries=0) as client:
            answer = await client.chat.completions.create(**ASK)
            assert answer.choices[0].message.content == "Recorded words."
            with pytest.raises(openai.APIConnectionError):
                await client.chat.completions.create(**{**ASK, "model": "x-sim-reset-before"})
        assert [call.ended for call in await process.calls()] == ["completed", "reset"]
        assert (await process.stats()).by_end == {"completed": 1, "reset": 1}
        await process.use(Scenario(behaviour=Behaviour(status=500)))
        assert (await process.stats()).calls == 0


async def test_says_why_it_does_not_start(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"answer": "x"}\n')
    with pytest.raises(RuntimeError, match="ended with 2"):
        async with spawn(recordings=[bad]):
            pass
