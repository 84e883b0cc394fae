"""Label sets (S-VLAN or VNI values on an interface): text such as `100-200,300` on the wire, a bit mask in rules.

Bit n of a mask stands for label n, so intersection is `&` and "has a free one" is truth.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.problem import invalid

LABEL_MIN: Final = 1
LABEL_MAX: Final = 4094
_RANGE: Final = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def parse(text: str, field: str = "labels") -> int:
    """Mask of a range list; empty text is the empty set. Raises `Problem` on anything else."""
    mask = 0
    for part in text.split(",") if text else []:
        match = _RANGE.fullmatch(part.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not LABEL_MIN <= low <= high <= LABEL_MAX:
            raise invalid(field, f"'{part}' is no label range; write for example 100-200,300 within 1-4094")
        mask |= span(low, high)
    return mask


def span(low: int, high: int) -> int:
    """Mask of every label from `low` to `high`, both included."""
    return (1 << (high + 1)) - (1 << low)


def ranges(mask: int) -> str:
    """Range list of a mask, ascending: the inverse of `parse`."""
    parts = []
    while mask:
        low = lowest(mask)
        run = (mask >> low) + 1
        length = lowest(run)
        parts.append(str(low) if length == 1 else f"{low}-{low + length - 1}")
        mask &= ~span(low, low + length - 1)
    return ",".join(parts)


def lowest(mask: int) -> int:
    """The smallest label of a non-empty mask."""
    assert mask, "an empty label set has no lowest label"
    return (mask & -mask).bit_length() - 1
