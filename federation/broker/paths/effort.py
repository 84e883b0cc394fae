"""What takes time in a search, counted in steps: each takes about as long as comparing two labels.

So an amount of work bounds the time whatever a question is like, and still does not depend on a clock: a step takes
one to three microseconds uncompiled, where a label may take anything between a tenth of a millisecond and three.
"""

from __future__ import annotations

from typing import Final

ARC: Final = 3  # pricing an arc for a question
BOUND: Final = 1  # a bound carried along an arc
LABEL: Final = 8  # a label carried along an arc
SOLVE: Final = 1000  # a solve by compiled code, its bounds included
COMPILED: Final = 4  # a label that it expands
EACH: Final = 24  # may be taken for each label that a question is allowed
LEAST: Final = 300_000  # and to begin with: prices and bounds of a whole graph
