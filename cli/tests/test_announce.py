"""What `modelux up` tells a newcomer once everything runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from modelux.config.v1.admin_pb2 import BootstrapResponse
from modelux_cli.up.command import Options, announce
from modelux_cli.up.engines import Urls
from modelux_cli.up.layout import Machine, Ports
from modelux_cli.up.secrets import Secrets


async def told(folder: Path, status: str, host: str = "127.0.0.1", *, as_json: bool = False) -> None:
    """Announces a proxy that answers `GET /v1/models/@production` with `status`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"GET /v1/models/@production ")
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        secrets = Secrets("AA==", "mlx_sk_x", "mlx_mk_x")
        machine = Machine(folder, host, Ports(port, port + 1, port + 2, {}), secrets, Urls("", ""), folder / "s")
        made = BootstrapResponse(project_id="proj_1")
        await announce(Options(folder, host, port, as_json, demo=False), machine, made)


async def test_a_curl_line_that_works_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await told(tmp_path, "200 OK")
    printed = capsys.readouterr().out
    assert "@production" in printed
    assert "Bearer mlx_sk_x" in printed


async def test_without_a_provider_it_says_how_to_connect_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await told(tmp_path, "404 Not Found")
    printed = capsys.readouterr().out
    assert "chat/completions" not in printed
    assert "OPENAI_API_KEY" in printed
    assert "Bearer mlx_mk_x" in printed


async def test_what_listens_everywhere_is_shown_where_this_machine_reaches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await told(tmp_path, "200 OK", "0.0.0.0", as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["proxy_url"].startswith("http://127.0.0.1:")
    assert json.loads((tmp_path / "endpoints.json").read_text()) == json.loads(line)
