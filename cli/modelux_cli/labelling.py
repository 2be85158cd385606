"""Ask somebody at the terminal which of two answers is better, pair by pair."""

from __future__ import annotations

import sys
from typing import Any

from modelux_cli.api import Api
from modelux_cli.judge_text import label_lines, plain

Row = dict[str, Any]
_LONGEST = 6_000
_KEYS = {"1": "first", "2": "second", "=": "equal", "e": "equal"}
_ASK = "which is better? 1, 2, = (equal), q (stop): "


def label_in_turn(api: Api, path: str, labeller: str, limit: int) -> None:
    """Shows pairs until `limit` are labelled, there are none left, or the person stops."""
    queue = api.get(path, {"limit": limit})["data"]
    print(f"{queue['labelled']:,} of {queue['wanted']:,} pairs are labelled")
    last: Row | None = None
    for number, task in enumerate(queue["tasks"], 1):
        _pair(task, f"{number} of {len(queue['tasks'])}")
        verdict = _answer()
        if verdict is None:
            break
        last = api.send("POST", path, {"token": task["token"], "verdict": verdict, "labeller": labeller})["data"]
    if last is not None:
        for line in label_lines(last):
            print(line)


def _pair(task: Row, place: str) -> None:
    for title, text in ((f"pair {place}: the request", task["prompt"]), ("1", task["first"]), ("2", task["second"])):
        shown = plain(text)
        print(f"\n--- {title} ---")
        print(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}\n… ({len(shown) - _LONGEST:,} more characters)")


def _answer() -> str | None:
    """None: the person stops."""
    while True:
        print(f"\n{_ASK}", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        key = line.strip().lower()
        if not line or key == "q":
            return None
        if key in _KEYS:
            return _KEYS[key]
