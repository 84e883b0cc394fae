"""The committed stubs of the mesh are what `make proto` writes from schemas/proto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATED = Path("schemas/gen")


def stubs(root: Path) -> dict[str, str]:
    """The generated files below a root, without the package files that hold our docstrings."""
    files = (path for path in (root / GENERATED).rglob("*_pb2*.py*") if path.suffix in {".py", ".pyi"})
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files}


def test_the_committed_stubs_are_fresh(tmp_path: Path) -> None:
    # An empty STAMP asks for no environment: the one that runs this test is at hand.
    settings = [f"BIN={Path(sys.executable).parent}", "STAMP=", f"OUT={tmp_path}"]
    command = ["make", "--silent", "proto", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fresh = stubs(tmp_path)
    assert fresh
    assert stubs(ROOT) == fresh, "run make proto"
