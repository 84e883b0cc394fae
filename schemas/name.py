"""What an operator may be called by a buyer: its name, its host, the first label of its host or its entity id.

Case, accents and punctuation do not matter.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Every question names places, and all those that are published are held against it: the same few thousand names.
NAMES_KEPT: Final = 32_768
# Letters that Unicode does not decompose into a plain one and a mark.
_PLAIN: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


@lru_cache(maxsize=NAMES_KEPT)
def fold(text: str) -> str:
    """`text` without what people leave out: case, accents, punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c))))


@lru_cache(maxsize=NAMES_KEPT)
def called(entity: str, name: str) -> frozenset[str]:
    """Everything an operator may be called, folded."""
    host = entity.removeprefix("https://").partition("/")[0].partition(":")[0]
    return frozenset(map(fold, (name, entity, host, host.partition(".")[0])))
