"""What holds for every test: a busy machine is never what makes a random one fail, nor what was collected slow."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Never look again for garbage among five thousand tests and all that they import, and more rarely elsewhere."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _root_log() -> Iterator[None]:
    """A daemon that is started inside a test logs to its standard error; the next test has another one."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for one in [one for one in root.handlers if one not in before]:
        root.removeHandler(one)
    root.setLevel(level)
