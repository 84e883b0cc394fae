"""Names that two operators derive alike from the same data, so that their footprint files agree unseen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

POP_CHARS_MAX: Final = 36  # two PoPs, a peer and the prefix of an ENNI id stay within the 120 characters of an id
PEER_CHARS_MAX: Final = 30
# Letters that do not decompose into an ASCII letter and an accent.
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
)


def slug(text: str, chars_max: int = POP_CHARS_MAX) -> str:
    """Lower-case ASCII letters and digits with single hyphens between; may be empty."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS)).encode("ascii", "ignore").decode()
    return "-".join(re.findall("[a-z0-9]+", plain))[:chars_max].strip("-")


def unique(slugs: Iterable[str]) -> list[str]:
    """The slugs with `-2`, `-3` ... behind those that came before; an empty one counts as `pop`."""
    used: set[str] = set()
    names = []
    for base in slugs:
        name, number = base or "pop", 2
        while name in used:
            name, number = f"{base or 'pop'}-{number}", number + 1
        used.add(name)
        names.append(name)
    return names


def entity_of(source: str) -> str:
    """The entity id when none is given: `https://as1103.example` for `caida/2024-08/1103`."""
    family, _, name = source.partition("/")
    label = f"as{name.rpartition('/')[2]}" if family == "caida" else slug(name)
    return f"https://{label}.example"


def peer_slug(entity: str) -> str:
    """What an operator is called in interface ids: the first label of its host, or the whole address."""
    parts = urlsplit(entity)
    host = parts.hostname or ""
    bare = "." not in host or host.replace(".", "").isdigit()
    return slug(parts.netloc if bare else host.partition(".")[0], PEER_CHARS_MAX)


def enni_id(pop: str, peer: str, peer_pop: str) -> str:
    """Id of an ENNI at `pop` towards a peer (its slug) at `peer_pop`; each side can write the other's."""
    return f"enni-{pop}--{peer}-{peer_pop}"
