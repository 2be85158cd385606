"""Read a package's SQL from its `sql/<noun>.sql`: blocks that begin with `-- name: what it does`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_HEAD = re.compile(r"^-- (\w+): .+$", re.MULTILINE)


def statement(package: str, noun: str, name: str) -> str:
    """One statement with its places for parameters. A name that does not exist is a programming error (KeyError)."""
    return _statements(package, noun)[name]


@cache
def _statements(package: str, noun: str) -> Mapping[str, str]:
    text = files(package).joinpath("sql", f"{noun}.sql").read_text()
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: text[head.end() : end].strip() for head, end in zip(heads, ends, strict=True)}
