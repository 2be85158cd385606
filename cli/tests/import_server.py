"""An API that reads uploads as the product does and keeps what it was sent, and the command to call it with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from typer.testing import CliRunner, Result

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_cli.main import app
from modelux_management.imported_views import imported
from modelux_management.imports.columns import parse_map
from modelux_management.imports.entries import Spread
from modelux_management.imports.events import Importer
from modelux_management.imports.work import Plan, read_upload
from modelux_providers.catalog import Catalog

NOW_US = 1_775_779_200_000_000
DAY_US = 86_400_000_000


class Server(ThreadingHTTPServer):
    """Reads uploads; `fails_after` so many it is overloaded."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.catalog = Catalog.load()
        self.projects = [{"id": "proj_1"}]
        self.queries: list[dict[str, str]] = []
        self.events: list[RequestCompleted] = []
        self.fails_after = 1000

    def take(self, query: dict[str, str], content: bytes) -> object:
        self.queries.append(query)
        spread = Spread(NOW_US - 7 * DAY_US, 7 * DAY_US) if "start" in query else None
        plan = Plan(query["preset"], parse_map(query.get("map", "")), spread, int(query["first_row"]), NOW_US)  # type: ignore[arg-type]  # a preset
        importer = Importer("org_1", query["project_id"], query.get("source", ""), True, self.catalog)
        found = read_upload(content, plan, importer)
        if "dry_run" not in query:
            self.events += [RequestCompleted.FromString(message.value) for message in found.messages]
        return imported(found, dry_run="dry_run" in query).model_dump(mode="json")


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer(200, {"data": self.server.projects})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if len(self.server.queries) >= self.server.fails_after:
            self.answer(503, {"code": "bus_unavailable", "title": "Not available", "hint": "Wait."})
        else:
            query = dict(parse_qsl(urlsplit(self.path).query))
            self.answer(200, {"data": self.server.take(query, content)})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@contextmanager
def import_server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def run(server: Server, file: Path, *words: str) -> Result:
    env = {"MODELUX_MANAGE_URL": f"http://127.0.0.1:{server.server_address[1]}", "MODELUX_MGMT_KEY": "mlx_mk_x"}
    return CliRunner().invoke(app, ["import", str(file), *words], env=env)
