"""Processor time of other processes, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """User and system seconds of a process so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Meter:
    """What each of several processes used since it was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._began = {name: processor_s(pid) for name, pid in self._pids.items()}

    def ms_each(self, count: int) -> dict[str, float]:
        """Milliseconds per piece of work, by process."""
        return {name: (processor_s(pid) - self._began[name]) * 1000 / count for name, pid in self._pids.items()}
