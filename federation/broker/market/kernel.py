"""The compiled search of one broker: warmed up beside everything else, and used from then on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from federation.broker.paths.graph import Graph

if TYPE_CHECKING:
    from federation.broker.paths.kernel.engine import Engine

log = logging.getLogger(__name__)


class Warming:
    """`kernel` is None until it is warm, and for good where numba is not installed: the solver answers then."""

    def __init__(self) -> None:
        self.kernel: Engine | None = None

    def warm(self, folder: Path) -> None:
        """Compile, or read what was compiled before and kept in a folder; takes seconds, so not on the loop."""
        try:
            from federation.broker.paths.kernel.compiled import compiled
            from federation.broker.paths.kernel.engine import Engine

            kernel = Engine(compiled(_usable(folder)))
            kernel.warm()
        except ImportError as error:
            why = "the path search runs uncompiled: %s is not installed (pip install 'peerway[broker]')"
            log.warning(why, error.name)
            return
        self.kernel = kernel

    def prepare(self, graph: Graph, before: Graph | None = None) -> None:
        """Make the arrays of a graph, so that no question has to wait for them."""
        if self.kernel is not None:
            self.kernel.prepare(graph, before)


def _usable(folder: Path) -> Path | None:
    """The folder, if something can be kept there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        log.warning("%s cannot be written (%s); the path search is compiled at every start", folder, error.strerror)
        return None
    return folder
