"""The kernel's code for all random tests of it: as it stands, and compiled once in a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from federation.broker.paths.kernel.compiled import Code


@pytest.fixture(scope="session")
def compiled_code(tmp_path_factory: pytest.TempPathFactory) -> Code:
    """Kept in a folder that the processes of one run share: what one has compiled, the others read."""
    from federation.broker.paths.kernel.compiled import available, compiled

    if not available():
        pytest.skip("numba is not installed")
    folder = tmp_path_factory.getbasetemp()
    return compiled((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "kernel")


@pytest.fixture(params=["as it stands", "compiled"])
def code(request: pytest.FixtureRequest) -> Code:
    """Both in turn, per test: so they meet the same worlds next to each other."""
    from federation.broker.paths.kernel.compiled import Code

    compiled: Code = request.getfixturevalue("compiled_code") if request.param == "compiled" else Code()
    return compiled
