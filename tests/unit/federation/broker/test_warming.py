"""The compiled search is warmed up beside everything else, wherever its result can be kept."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

pytest.importorskip("numpy")

from federation.broker.market.kernel import Warming
from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel import compiled as compiling
from federation.broker.paths.kernel.compiled import Code
from federation.broker.paths.kernel.engine import Engine


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Where compiled functions were to be kept; nothing is compiled."""
    told: list[Path | None] = []

    def uncompiled(folder: Path | None) -> Code:
        told.append(folder)
        return Code()

    monkeypatch.setattr(compiling, "compiled", uncompiled)
    return told


def test_until_it_is_warm_there_is_no_kernel_and_no_arrays_are_made(tmp_path: Path, folders: list[Path | None]) -> None:
    warming, graph = Warming(), Graph.build({})
    warming.prepare(graph)
    assert warming.kernel is None
    assert graph.arrays is None
    warming.warm(tmp_path / "kernel")
    assert isinstance(warming.kernel, Engine)
    assert folders == [tmp_path / "kernel"]
    warming.prepare(graph)
    assert graph.arrays is not None


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same_and_a_warning_says_so(
    tmp_path: Path, folders: list[Path | None], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    warming = Warming()
    with caplog.at_level(logging.WARNING):
        warming.warm(tmp_path / "file" / "kernel")
    assert isinstance(warming.kernel, Engine)
    assert folders == [None]
    assert "cannot be written" in caplog.text


def test_without_numba_the_solver_goes_on_and_a_warning_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(folder: Path | None) -> Code:
        raise ImportError("No module named 'numba'", name="numba")

    monkeypatch.setattr(compiling, "compiled", missing)
    warming = Warming()
    with caplog.at_level(logging.WARNING):
        warming.warm(tmp_path)
    assert warming.kernel is None
    assert "numba is not installed" in caplog.text
