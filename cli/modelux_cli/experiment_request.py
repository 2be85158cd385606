"""What an experiment replays, in the words of the command line: its candidate, its window, which requests of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from modelux_cli.api import Api, given, only_project
from routing_core.errors import ModeluxError

Config = Annotated[
    str,
    typer.Option(help="The candidate: `@slug`, `@slug:version`, a model, a policy as JSON, or a .json file of one."),
]
Replay = Annotated[str, typer.Option(help="The last 30m, 24h, 7d or 2w; with --start it is not looked at.")]
Start = Annotated[str, typer.Option(help="Requests that began at or after, e.g. 2026-04-01T00:00:00Z.")]
End = Annotated[str, typer.Option(help="Requests that began before. Left out: until now.")]
Tag = Annotated[list[str] | None, typer.Option(help="Only requests with this tag, `key=value`; repeatable.")]
OnlyModel = Annotated[str, typer.Option(help="Only requests that this model answered.")]
OnlyProvider = Annotated[str, typer.Option(help="Only requests that this provider answered.")]
OnlyConfig = Annotated[str, typer.Option(help="Only requests to this routing config, `@slug`.")]
OnlyStatus = Annotated[str, typer.Option(help="Only requests that ended so: ok or error.")]
EndUser = Annotated[str, typer.Option(help="Only requests of this end user.")]
By = Annotated[
    str, typer.Option(help="The tag whose values are the runs of an agent; shows what runs take. Left out: run_id.")
]
Project = Annotated[str, typer.Option(help="Project id; may be left out where there is just one.")]
SampleSize = Annotated[
    int, typer.Option("--sample", min=0, help="Call the candidate with so many of the requests; spends money.")
]
Method = Annotated[str, typer.Option(help="How they are chosen: random, stratified or semantic.")]
SampleTag = Annotated[str, typer.Option(help="With --method stratified: the tag that strata are told apart by.")]
CallUnchanged = Annotated[
    bool, typer.Option("--call-unchanged", help="Also call requests whose candidate makes the logged choice.")
]
AaShare = Annotated[
    float, typer.Option(help="Ask the logged model once more for this share, e.g. 0.1: how far it differs from itself.")
]
Pilot = Annotated[int, typer.Option(min=0, help="Replay all, and call so many first to learn the candidate's tokens.")]
SpendCap = Annotated[str, typer.Option(help="Dollars that calls may cost at most, e.g. 0.05; never crossed.")]


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, as the API takes it, and how we tell it."""

    start: str
    end: str
    words: str


def window(replay: str, start: str, end: str, now: datetime) -> Window:
    """Raises ModeluxError."""
    until = end or _text(now)
    if start:
        return Window(start, until, f"{start} to {end or 'now'}")
    if end:
        raise ModeluxError("usage", "--end is given without --start", hint="Name both, or use --replay=24h.")
    return Window(_text(now - span(replay)), until, f"the last {replay.strip()}")


def span(written: str) -> timedelta:
    """`30m`, `24h`, `7d`, `2w`. Raises ModeluxError."""
    found = _SPAN.fullmatch(written.strip())
    length = timedelta(minutes=int(found[1]) * _MINUTES[found[2]]) if found else timedelta()
    if not length:
        raise ModeluxError("usage", f"{written!r} is no stretch of time", hint="Write 30m, 24h, 7d or 2w.")
    return length


def candidate(written: str) -> dict[str, Any]:
    """The candidate as the API takes it. Raises ModeluxError."""
    if written.startswith("@"):
        return {"candidateConfig": written}
    if written.lstrip().startswith("{"):
        return {"candidateConfig": _policy(written, "--config")}
    if written.endswith(".json") or os.path.isfile(written):
        try:
            return {"candidateConfig": _policy(Path(written).read_text("utf-8-sig"), written)}
        except (OSError, ValueError) as error:
            raise ModeluxError("usage", f"{written!r} cannot be read: {error}", hint="Name a file of JSON.") from None
    return {"candidatePolicy": "single", "candidateConfig": {"model": written}}


def only(
    tag: Sequence[str] | None, model: str, provider: str, config: str, status: str, end_user: str
) -> dict[str, Any]:
    """The API's filter; without what is not asked for. Raises ModeluxError."""
    tags = dict(_pair(each) for each in tag or [])
    wanted = {"tags": tags, "model": model, "provider": provider, "config": config.removeprefix("@")}
    return given(wanted | {"status": status, "endUserId": end_user})


def wanted(api: Api, config: str, within: Window, chosen: Mapping[str, Any], by: str, project: str) -> dict[str, Any]:
    """The body that creating and estimating have in common. Raises ModeluxError."""
    body = candidate(config) | {"windowStart": within.start, "windowEnd": within.end}
    return given(body | {"filter": chosen, "runTag": by, "projectId": project or only_project(api)})


def paid(
    size: int, method: str, tag: str, call_unchanged: bool, aa_share: float, pilot: int, spend_cap: str
) -> dict[str, Any]:
    """What of a body has to do with calls; nothing where none are asked for. Raises ModeluxError."""
    if size and pilot:
        raise ModeluxError("usage", "--sample and --pilot do not go together", hint="A sample is called as a whole.")
    of_sample = {"method": method, "tag": tag, "callUnchanged": call_unchanged or None, "aaShare": aa_share or None}
    if not size and given(of_sample):
        raise ModeluxError("usage", "there is no sample to choose", hint="Say how many requests with --sample=1000.")
    sample = given({"size": size} | of_sample) if size else None
    piloting = {"size": pilot} if pilot else None
    return given(
        {
            "mode": "with_responses" if size else "",
            "sample": sample,
            "pilot": piloting,
            "spendCapUsd": spend_cap.removeprefix("$"),
        }
    )


def _policy(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModeluxError("usage", f"{where} holds no JSON: {error}", hint=_EXAMPLE) from None
    if not isinstance(found, dict) or "strategy" not in found:
        raise ModeluxError("usage", f"{where} holds no policy", hint=_EXAMPLE)
    return found


def _pair(written: str) -> tuple[str, str]:
    """`key=value`, also where it is written as `key:value` as for `modelux logs`."""
    key, mark, value = (written if "=" in written else written.replace(":", "=", 1)).partition("=")
    if not (key and mark and value):
        raise ModeluxError("usage", f"{written!r} is no tag with a value", hint="Write it as --tag agent=research-v2.")
    return key, value


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10_080}
_EXAMPLE = 'Write a policy such as {"strategy": "single", "model": "gpt-4o-mini"}.'
