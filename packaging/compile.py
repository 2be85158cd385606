"""Build a copy of the packages whose hot path is compiled by mypyc: docs/decisions/0006 tells why and how.

The sources stay plain Python and are not touched: `build/compiled` gets a copy of every package with the extension
modules beside the copied files. Put that folder on PYTHONPATH, or copy it over an installation, to use it.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILED = (
    "routing_core/{breaker,draws,engine,flow,health,latency,pricing,replay,retries,rounding,scoring,trace,types,world}.py",
    "routing_core/policies/*.py",
    "routing_core/{bounds,budgets}.py",
    "routing_core/ledger/{holder,messages,meters,slots}.py",
    "modelux_ledger/{spender,table}.py",
    "modelux_bus/{cursor,journal,segment}.py",
    "modelux_providers/{call,charge,classify,client,client_connection,client_errors,client_response,drive,outbox,route}.py",
    "modelux_providers/{sse,utf8}.py",
    "modelux_providers/dialects/{openai,usage}.py",
    "modelux_calling/{asked,attempts,charge,clock,event_wire,failures,json_guard,loops,openai_schema,purse,record}.py",
    "modelux_calling/{request_size,tenants}.py",
    "modelux_proxy/{admit,answers,call_context,chat,emit,exchange,heads,http_connection,http_server,idempotency}.py",
    "modelux_proxy/{inflight,limits,metrics,notes,proxy,rate_limits,request_ids,ship,stream}.py",
    "modelux_replay/simulation/{cases,courses,logged,outcomes,past,results,simulate,telling,traces,worlds}.py",
)
"""What a request runs through. Left out: packages' `__init__`, modules that define msgspec structs (their fields would
get lost), and `records.py`, which makes dataclasses at run time."""
_SLOTS = re.compile(r"^(@dataclass\(.*?)(?:, slots=True|slots=True(?:, )?)", re.MULTILINE)
"""Compiled classes have no `__dict__` anyway, and cannot be made anew with slots."""
_CONSTANT = re.compile(r"\n(_?[A-Z][A-Z0-9_]+|_[a-z]\w*)(?:: (?!Final|TypeAlias)([^=\n]+))? = (.*)")
_RECORD = "@dataclass(init=False, eq=False)"
_WRITTEN_OUT = {
    "record": _RECORD,
    "dataclass(slots=True)": "@dataclass(init=False)",
    "dataclass(slots=True, eq=False)": "@dataclass(eq=False, init=False)",
}
"""Whose constructors are compiled, and as what their classes are declared then."""
_MYPY = """\
[mypy]
python_version = 3.11
namespace_packages = true
explicit_package_bases = true
follow_imports = silent
ignore_missing_imports = true
warn_unreachable = true
enable_error_code = redundant-expr
"""


def packages() -> list[str]:
    """The folders that go into the wheel."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    return list(wheel["packages"])


def modules(folder: Path) -> Iterator[Path]:
    """The files to compile, below `folder`."""
    for pattern in COMPILED:
        head, names, tail = re.fullmatch(r"(.*?)(?:\{(.*)\})?([^{}]*)", pattern).groups()  # type: ignore[union-attr]
        for name in (names or "").split(","):
            found = sorted(folder.glob(f"{head}{name}{tail}"))
            if not found:
                raise SystemExit(f"there is no {head}{name}{tail} to compile")
            yield from (file for file in found if file.name != "__init__.py")


def prepared(source: str) -> str:
    """The source as it is compiled: records written out, constants final (else each use looks them up by name)."""
    for constant in _CONSTANT.finditer(source):
        name, kind, value = constant.groups()
        if value.startswith("TypeVar") or f"global {name}\n" in source:
            continue
        final = f"{name}: Final[{kind}] = {value}" if kind else f"{name}: Final = {value}"
        source = source.replace(constant[0], f"\n{final}", 1)
    future = "from __future__ import annotations\n"
    source = source.replace(future, future + "\nfrom typing import Final\n", 1)
    return _SLOTS.sub(r"\1", _written_out(source)).replace("@dataclass()", "@dataclass")


def _written_out(source: str) -> str:
    """With the methods of records, and the constructors of plain dataclasses, that `dataclass` would make at run time,
    interpreted and many times as slow. What else it adds stays.
    """
    lines = source.split("\n")
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for node in reversed(classes):
        how = _WRITTEN_OUT.get(", ".join([ast.unparse(decorator) for decorator in node.decorator_list]))
        if how is None:
            continue
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        following = node.body[node.body.index(fields[-1]) + 1 :]
        documented = bool(following) and isinstance(following[0], ast.Expr)
        after = (following[0] if documented else fields[-1]).end_lineno
        assert after is not None
        methods = _methods(node.name, fields)
        constructor = len(fields) + 1
        lines[after:after] = methods if how is _RECORD else methods[:constructor]
        lines[node.lineno - 2] = how
    return "\n".join(lines).replace("from routing_core.records import record", "from dataclasses import dataclass")


def _methods(owner: str, fields: Sequence[ast.AnnAssign]) -> list[str]:
    """Constructor, equality and hash by value, as `routing_core.records.record` has them; `copy` goes by the last."""
    signature, body, names, compared = ["self"], [], [], []
    for each in fields:
        name, kind = ast.unparse(each.target), ast.unparse(each.annotation)
        default, value = _default(each.value), name
        if default.startswith("()"):  # a factory: made anew for every record
            kind, default, value = f"{kind} | None", "None", f"{default[2:]}() if {name} is None else {name}"
        signature.append(f"{name}: {kind} = {default}" if default else f"{name}: {kind}")
        body.append(f"        self.{name} = {value}")
        names.append(name)
        if each.value is None or "compare=False" not in ast.unparse(each.value):
            compared.append(name)
    equal = " and ".join([f"self.{name} == other.{name}" for name in compared])
    return [
        f"    def __init__({', '.join(signature)}) -> None:",
        *body,
        "    def __eq__(self, other: object) -> bool:",
        f"        return type(other) is {owner} and {equal}",
        "    def __hash__(self) -> int:",
        f"        return hash(({', '.join([f'self.{name}' for name in compared])},))",
        "    def __reduce__(self) -> tuple[object, ...]:",
        f"        return ({owner}, ({', '.join([f'self.{name}' for name in names])},))",
    ]


def _default(value: ast.expr | None) -> str:
    """The default of a field as source, `()` and the name of a factory for one that makes it, else nothing."""
    if value is None:
        return ""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "field"):
        return ast.unparse(value)
    options = {option.arg: ast.unparse(option.value) for option in value.keywords}
    return "()" + options["default_factory"] if "default_factory" in options else options.get("default", "")


def build(folder: Path) -> None:
    """Copies the packages to `folder` and compiles them there. About a minute and a half."""
    from mypyc.build import mypycify  # only in the development environment
    from setuptools import setup  # type: ignore[import-untyped]

    shutil.rmtree(folder, ignore_errors=True)
    for package in packages():
        shutil.copytree(ROOT / package, folder / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    files = list(modules(folder))
    for file in files:
        file.write_text(prepared(file.read_text()))
    os.chdir(folder)
    Path("mypy.ini").write_text(_MYPY)
    names = [str(file.relative_to(folder)) for file in files]
    extensions = mypycify(["--config-file", "mypy.ini", *names], opt_level="3", multi_file=True)
    arguments = ["--quiet", "build_ext", "--inplace", "--parallel", str(os.cpu_count() or 1)]
    setup(name="modelux-compiled", packages=[], py_modules=[], ext_modules=extensions, script_args=arguments)
    for left in ("build", ".mypy_cache"):
        shutil.rmtree(left, ignore_errors=True)
    Path("mypy.ini").unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "compiled")
    build(parser.parse_args().folder.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
