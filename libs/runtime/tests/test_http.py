"""The health endpoints and the order of roles."""

from __future__ import annotations

from typing import Any

import pytest

from modelux_runtime.auth import ROLES, allows, key_hash
from modelux_runtime.http import health_app, listen
from modelux_runtime.platform import Platform, decode_key
from modelux_runtime.settings import InvalidSetting, PlatformSettings


async def get(platform: Platform, path: str) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    await health_app(platform)({"type": "http", "path": path}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_liveness_asks_nobody_and_readiness_asks_each_check() -> None:
    platform = Platform(PlatformSettings())
    platform.readiness |= {"snapshot": lambda: "none yet", "journal": lambda: None}
    assert await get(platform, "/livez") == (200, b"ok\n")
    assert await get(platform, "/readyz") == (503, b"journal: ok\nsnapshot: none yet\n")
    platform.readiness["snapshot"] = lambda: None
    assert (await get(platform, "/readyz"))[0] == 200
    platform.stopping.set()
    assert await get(platform, "/readyz") == (503, b"journal: ok\nprocess: stopping\nsnapshot: ok\n")


async def test_metrics_are_in_the_prometheus_format() -> None:
    status, body = await get(Platform(PlatformSettings()), "/metrics")
    assert status == 200
    assert b"# TYPE" in body


async def test_unknown_paths_are_not_found() -> None:
    assert (await get(Platform(PlatformSettings()), "/v1/chat/completions"))[0] == 404


def test_a_taken_port_is_an_error_at_once() -> None:
    with listen("127.0.0.1", 0) as held, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", held.getsockname()[1])


def test_roles_include_those_below_them() -> None:
    for place, held in enumerate(ROLES):
        assert [allows(held, needed) for needed in ROLES] == [place >= n for n in range(len(ROLES))]


def test_a_key_is_known_by_its_hash() -> None:
    assert key_hash("mlx_sk_x") == key_hash(b"mlx_sk_x")
    assert len(key_hash("")) == 32


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ="])
def test_an_encryption_key_of_another_length_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="MODELUX_ENCRYPTION_KEY"):
        decode_key(text)
