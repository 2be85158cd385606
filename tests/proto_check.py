"""Fail where a protocol change breaks readers of older messages, or where generated code is stale."""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BASELINE = ROOT / "proto" / "baseline.binpb"


def main() -> int:
    """`--accept` takes today's files as the baseline that later changes may not break."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, default=Path(sys.executable).parent)
    parser.add_argument("--accept", action="store_true")
    options = parser.parse_args()
    buf = options.bin / "buf"
    if options.accept:
        return subprocess.run([buf, "build", "-o", BASELINE], cwd=ROOT, check=False).returncode
    broken = subprocess.run([buf, "breaking", "--against", BASELINE], cwd=ROOT, check=False).returncode
    stale = stale_files(options.bin / "python")
    for path in stale:
        print(f"{path} is not what proto/ generates: run `make proto`")
    return 1 if broken or stale else 0


def stale_files(python: Path) -> list[Path]:
    """Generated files that differ from a fresh generation, are missing, or have no source any more."""
    committed = ROOT / "libs" / "contracts"
    protos = sorted(str(path) for path in (ROOT / "proto").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as fresh:
        outputs = [f"--{kind}_out={fresh}" for kind in ("python", "pyi", "grpc_python")]
        subprocess.run(
            [python, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", *outputs, *protos], check=True, cwd=ROOT
        )
        names = {p.relative_to(fresh) for p in Path(fresh).rglob("*.py*") if p.is_file()}
        kept = {
            p.relative_to(committed) for p in (committed / "modelux").rglob("*_pb2*.py*") if p.suffix in (".py", ".pyi")
        }
        differing = {n for n in names & kept if not filecmp.cmp(Path(fresh, n), committed / n, shallow=False)}
        return sorted(differing | (names ^ kept))


if __name__ == "__main__":
    raise SystemExit(main())
