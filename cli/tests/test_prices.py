"""`modelux prices` against an API that answers from a table."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from modelux_cli.main import app
from modelux_cli.prices import supposed
from routing_core.errors import ModeluxError

SUM: dict[str, Any] = {
    "attempts": 1200,
    "logged_usd": 1.5,
    "logged_unknown_attempts": 200,
    "repriced_usd": 1.25,
    "difference_usd": -0.05,
    "unpriced_attempts": 200,
    "unpriced_logged_usd": 0.2,
}
OLD = {"price_version": "genai-prices 0.2.3/base", "attempts": 1000, "cost_usd": 1.3}
NEW = {"price_version": "override/price_1", "attempts": 1000, "cost_usd": 1.25}
BOUNDED = {"price_version": None, "attempts": 200, "cost_usd": 0.2}
MINI = SUM | {"provider": "openai", "model": "gpt-4o-mini", "attempts": 1000, "unpriced_attempts": 0, "logged_usd": 1.3}
FRESH = SUM | {"provider": "openai", "model": "fresh", "attempts": 200, "repriced_usd": None, "difference_usd": None}
REPORT: dict[str, Any] = {
    "total": SUM,
    "models": [
        MINI | {"logged_at": [OLD], "repriced_at": [NEW]},
        FRESH | {"logged_usd": 0.2, "logged_at": [BOUNDED], "repriced_at": []},
    ],
    "unused": [{"provider": "openai", "model": "gpt-4"}],
}
PRICE = {
    "version": "override/price_1",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_usd_per_million": 0.15,
    "output_usd_per_million": 0.6,
    "cache_read_usd_per_million": None,
    "cache_write_usd_per_million": 0.000000001,
    "effective_from": "2026-04-10T00:00:00Z",
}


class Server(ThreadingHTTPServer):
    """Answers as `answers` says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {"/prices": [PRICE], "/prices/reprice": REPORT}
        self.asked: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        self.server.asked.append(json.loads(self.rfile.read(size)) if size else None)
        content = json.dumps({"data": self.server.answers[self.path.partition("?")[0]]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def run(server: Server, *words: str) -> Result:
    env = {"MODELUX_MANAGE_URL": f"http://127.0.0.1:{server.server_address[1]}", "MODELUX_MGMT_KEY": "mlx_mk_x"}
    return CliRunner().invoke(app, ["prices", *words], env=env)


def test_prices_are_listed_by_the_names_that_logs_know(server: Server) -> None:
    assert [line.split() for line in run(server, "list").output.splitlines()] == [
        ["VERSION", "PROVIDER", "MODEL", "INPUT", "OUTPUT", "CACHE", "READ", "CACHE", "WRITE", "FROM"],
        ["override/price_1", "openai", "gpt-4o-mini", "$0.15", "$0.60", "-", "$0.000000001", "2026-04-10T00:00:00Z"],
    ]
    server.answers["/prices"] = []
    assert run(server, "list").stderr == "modelux: there are none\n"
    assert run(server, "list", "--json").output == "[]\n"


def test_a_report_tells_amounts_versions_and_what_has_no_price(server: Server) -> None:
    assert run(server, "reprice", "--start", "2026-04-01T00:00:00Z").output.splitlines() == [
        "no attempt was at openai/gpt-4: its price changes nothing",
        "PROVIDER  MODEL        ATTEMPTS  LOGGED  REPRICED  DIFFERENCE",
        "openai    gpt-4o-mini  1,000     $1.30   $1.25     -$0.05",
        "openai    fresh        200       $0.20   -         -           200 without a price",
        "total                  1,200     $1.50   $1.25     -$0.05      200 without a price",
        "",
        "openai/gpt-4o-mini",
        "  logged at    genai-prices 0.2.3/base  1,000 attempts  $1.30",
        "  repriced at  override/price_1  1,000 attempts  $1.25",
        "openai/fresh",
        "  logged at    -  200 attempts  $0.20",
        "no price is known for 200 attempts, logged at $0.20: they are in no repriced amount and no difference",
    ]
    assert json.loads(run(server, "reprice", "--start", "2026-04-01T00:00:00Z", "--json").output) == REPORT
    server.answers["/prices/reprice"] = {"total": SUM, "models": [], "unused": []}
    assert run(server, "reprice", "--start", "x").output == "no attempts in this range used anything\n"


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ([], {}),
        (["--end", "b", "--project", "proj_1", "--as-of", "c"], {"end": "b", "projectId": "proj_1", "asOf": "c"}),
        (["--as-of", "call"], {"asOfCall": True}),
        (
            ["--suppose", "openrouter/openai/gpt-4o=2.5,$10,1.25", "--suppose", "openai/o3=2, 8"],
            {
                "supposed": [
                    {
                        "provider": "openrouter",
                        "model": "openai/gpt-4o",
                        "inputUsdPerMillion": "2.5",
                        "outputUsdPerMillion": "10",
                        "cacheReadUsdPerMillion": "1.25",
                    },
                    {"provider": "openai", "model": "o3", "inputUsdPerMillion": "2", "outputUsdPerMillion": "8"},
                ]
            },
        ),
    ],
)
def test_what_is_asked_for_is_what_the_options_say(server: Server, words: list[str], sent: dict[str, Any]) -> None:
    assert run(server, "reprice", "--start", "a", *words).exit_code == 0
    assert server.asked == [{"start": "a"} | sent]


@pytest.mark.parametrize("written", ["", "gpt-4o=1,2", "openai/=1,2", "/gpt-4o=1,2", "openai/gpt-4o", "openai/o3=1",
                                     "openai/o3=1,", "openai/o3=1,2,3,4,5"])  # fmt: skip
def test_what_is_no_price_is_told_with_an_example(written: str) -> None:
    with pytest.raises(ModeluxError, match="is not a price") as refused:
        supposed(written)
    assert "openai/gpt-4o=2.5,10" in refused.value.hint
