"""A buyer's name towards one operator: stable for caps and audits, and of no use to two operators who
compare.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Final

PSEUDONYM_CHARS: Final = 22


@lru_cache(maxsize=4096)
def pseudonym(secret: bytes, buyer: str, operator: str) -> str:
    """`sub` for `operator`: the first 22 characters of b64url HMAC-SHA-256 over both names, keyed by the
    secret.
    """
    assert secret, "a pseudonym without a secret could be guessed"
    digest = hmac.new(secret, f"{buyer}\x00{operator}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()[:PSEUDONYM_CHARS]
