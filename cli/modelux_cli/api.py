"""Talk to the management API from the command line: find it, call it, and say in one line what went wrong."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from routing_core.errors import ModeluxError

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 300.0
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_REFUSED = 4
_EXITS = {"usage": EXIT_USAGE, "not_configured": EXIT_USAGE, "unreachable": EXIT_UNREACHABLE}


@dataclass(frozen=True, slots=True)
class Api:
    """One management API and the key that we hold for it."""

    url: str
    key: str

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON object. Raises ModeluxError with the API's own words and remedy."""
        return self.send("GET", _with_query(path, parameters or {}))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The same for any method, with a JSON body."""
        content = None if body is None else json.dumps(body).encode()
        return self._call(method, path, content, "application/json", TIMEOUT_S)

    def upload(self, path: str, parameters: Mapping[str, Any], content: bytes, content_type: str) -> dict[str, Any]:
        """The same for a POST of a file."""
        return self._call("POST", _with_query(path, parameters), content, content_type, UPLOAD_TIMEOUT_S)

    def _call(
        self, method: str, path: str, content: bytes | None, content_type: str, timeout_s: float
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.key}", "accept": "application/json"}
        if content is not None:
            headers["content-type"] = content_type
        request = urllib.request.Request(f"{self.url.rstrip('/')}{path}", content, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout_s) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, ValueError) as error:
            hint = "Is it running? Start it with `modelux up`, or name another with --url."
            raise ModeluxError("unreachable", f"no answer from {self.url}: {error}", hint=hint) from None


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left out; an empty list was not."""
    return {name: value for name, value in body.items() if value not in ("", None, {})}


def connect(url: str, key: str, data_dir: Path | None) -> Api:
    """What the options say, or else the `modelux up` of this machine that started last (its data folder says where)."""
    if url and key:
        return Api(url, key)
    folder = data_dir or max(default_data_dir(), default_data_dir(demo=True), key=_started)
    try:
        found = json.loads((folder / "endpoints.json").read_text())
        return Api(url or str(found["manage_url"]), key or str(found["management_key"]))
    except (OSError, ValueError, KeyError):
        hint = "Start `modelux up`, or set MODELUX_MANAGE_URL and MODELUX_MGMT_KEY."
        raise ModeluxError("not_configured", f"no Modelux is known in {folder}", hint=hint) from None


def only_project(api: Api) -> str:
    """The id of the project, where there is just one. Raises ModeluxError."""
    found = api.get("/projects", {"limit": 2})["data"]
    if not found:
        raise ModeluxError("usage", "there is no project", hint="Create one, then name it with --project.")
    if len(found) > 1:
        raise ModeluxError("usage", "there are several projects", hint="Name one with --project.")
    return str(found[0]["id"])


def default_data_dir(*, demo: bool = False) -> Path:
    """`~/.modelux`; for root a folder that PostgreSQL's unprivileged account can enter.

    The demo has one of its own: its simulated providers must never stand beside real ones.
    """
    folder = Path("/var/lib/modelux") if os.geteuid() == 0 else Path.home() / ".modelux"
    return folder.with_name(f"{folder.name}-demo") if demo else folder


def _started(folder: Path) -> float:
    """When `modelux up` last became ready there; 0 for never."""
    try:
        return (folder / "endpoints.json").stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def reporting() -> Iterator[None]:
    """Turns an error into one line on stderr and an exit status: 2 usage, 3 unreachable, 4 refused."""
    try:
        yield
    except ModeluxError as error:
        print(f"modelux: {error}", file=sys.stderr)
        raise typer.Exit(_EXITS.get(error.code, EXIT_REFUSED)) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None


def _with_query(path: str, parameters: Mapping[str, Any]) -> str:
    pairs = {name: value for name, value in parameters.items() if value not in ("", None, [])}
    query = urllib.parse.urlencode(pairs, doseq=True)
    return f"{path}{'?' + query if query else ''}"


def _refusal(error: urllib.error.HTTPError) -> ModeluxError:
    try:
        problem = json.load(error)
        text = str(problem.get("detail") or problem["title"]).rstrip(".")
        return ModeluxError(str(problem["code"]), text, hint=str(problem.get("hint", "")))
    except (ValueError, KeyError):
        return ModeluxError("refused", f"the server answered {error.code} {error.reason}")
