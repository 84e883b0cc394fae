"""The kernel's code for all random tests of it: as it stands, and compiled once on a machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from federation.broker.paths.kernel.compiled import Code


@pytest.fixture(scope="session")
def compiled_code(tmp_path_factory: pytest.TempPathFactory) -> Code:
    """Kept where a broker of this user keeps it, by the hash of its sources: it takes twelve seconds, and the demo in
    tests/acceptance needs it too. Where nothing can be written, in a folder that the processes of one run share."""
    from federation.broker.config import user_cache
    from federation.broker.paths.kernel.compiled import available, compiled

    if not available():
        pytest.skip("numba is not installed")
    kept = Path(user_cache(os.environ))
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = tmp_path_factory.getbasetemp()
        kept = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "kernel"
    return compiled(kept)


@pytest.fixture(params=["as it stands", "compiled"])
def code(request: pytest.FixtureRequest) -> Code:
    """Both in turn, per test: so they meet the same worlds next to each other."""
    from federation.broker.paths.kernel.compiled import Code

    compiled: Code = request.getfixturevalue("compiled_code") if request.param == "compiled" else Code()
    return compiled
