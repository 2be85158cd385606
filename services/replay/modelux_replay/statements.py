"""The service's SQL, read from `sql/<noun>.sql`: blocks that begin with `-- name: what it does`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_HEAD = re.compile(r"^-- (\w+): .+$", re.MULTILINE)


def sql(noun: str, name: str) -> str:
    """One statement. A name that does not exist is a programming error (KeyError)."""
    return _statements(noun)[name]


@cache
def _statements(noun: str) -> Mapping[str, str]:
    text = files("modelux_replay").joinpath("sql", f"{noun}.sql").read_text()
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: text[head.end() : end].strip() for head, end in zip(heads, ends, strict=True)}
