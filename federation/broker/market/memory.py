"""How much memory this process has needed at most."""

from __future__ import annotations

import resource
import sys


def memory_kib() -> int:
    """Peak resident set in KiB. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak
