"""One operator's offer sheet as a broker holds it (pure; design section 3, "Offers").

A sheet comes from a manifest whose signature the caller verified, and from pages that nobody signed one by one: the
Merkle root over them, in order, is what makes them the operator's. A delta is signed as a whole. Nothing is believed
in part: any fault refuses the sheet or the delta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, structs

from federation.trust.merkle import merkle_root
from schemas.interface import Interface
from schemas.offer import PAGE_BYTES_MAX, ClassTerms, Delta, Disclosure, Item, Manifest, Node, Offer, Page
from schemas.problem import Problem

KINDS: Final[Mapping[str, str]] = {"interface": "interfaces", "class": "classes", "node": "nodes", "offer": "offers"}
ITEMS_MAX: Final = 250_000  # an operator of 600 places that shows every pair of them stays below
Named = TypeVar("Named", Interface, ClassTerms, Offer)


class OperatorSheet(Struct, frozen=True, kw_only=True):
    """Everything an operator publishes, by id, at one version. Treat the mappings as read-only."""

    entity: str
    name: str
    version: int
    currency: str
    disclosure: Disclosure
    interfaces: Mapping[str, Interface] = {}
    classes: Mapping[str, ClassTerms] = {}
    nodes: frozenset[str] = frozenset()
    offers: Mapping[str, Offer] = {}


def sheet_from_pages(
    manifest: Manifest,
    pages: Sequence[bytes],
    name: str,
    root: Callable[[Sequence[bytes]], str] = merkle_root,
) -> OperatorSheet:
    """The sheet that `manifest` describes; `name` is the operator's name from its verified metadata.

    Raises `Problem` DOCUMENT_INVALID when pages are missing, too large, not as signed, malformed or repeat an id.
    """
    if len(pages) != manifest.pages:
        raise _bad(f"the manifest promises {manifest.pages} pages and {len(pages)} came")
    if any(len(page) > PAGE_BYTES_MAX for page in pages):
        raise _bad(f"a page is larger than {PAGE_BYTES_MAX} bytes")
    if root(pages) != manifest.root:
        raise _bad("the pages are not those that were signed: their Merkle root differs")
    items = list(_items(manifest, pages))
    interfaces, classes = _by_id(items, Interface), _by_id(items, ClassTerms)
    nodes = [item.id for item in items if isinstance(item, Node)]
    if len(nodes) != len(set(nodes)):
        raise _bad("a node comes twice")
    return OperatorSheet(
        entity=manifest.iss,
        name=name,
        version=manifest.version,
        currency=manifest.currency,
        disclosure=manifest.disclosure,
        interfaces=interfaces,
        classes=classes,
        nodes=frozenset(nodes),
        offers=_by_id(items, Offer),
    )


def apply(sheet: OperatorSheet, delta: Delta) -> OperatorSheet:
    """The sheet after a delta; what it drops goes first, then what it puts.

    Raises `Problem` DOCUMENT_INVALID when the delta is another operator's, does not begin at the sheet's version (a
    gap: fetch the sheet again), goes backwards, or drops what is not there.
    """
    _continues(sheet, delta)
    if sum(len(getattr(sheet, field)) for field in KINDS.values()) + len(delta.put) > ITEMS_MAX:
        raise _bad(f"the sheet would grow beyond {ITEMS_MAX} items")
    held = {kind: dict(getattr(sheet, field)) for kind, field in KINDS.items() if kind != "node"}
    nodes = set(sheet.nodes)
    for kind, item_id in delta.drop:
        _drop(nodes, held, kind, item_id)
    for item in delta.put:
        if isinstance(item, Node):
            nodes.add(item.id)
        else:
            held[_kind(item)][item.id] = item
    changed = {KINDS[kind]: items for kind, items in held.items()}
    return structs.replace(sheet, version=delta.to_version, nodes=frozenset(nodes), **changed)


def _continues(sheet: OperatorSheet, delta: Delta) -> None:
    if delta.iss != sheet.entity:
        raise _bad(f"a delta of {delta.iss} does not change the sheet of {sheet.entity}")
    if delta.from_version != sheet.version:
        raise _bad(
            f"the delta starts at version {delta.from_version} and the sheet is at {sheet.version}: fetch it again"
        )
    if delta.to_version <= delta.from_version:
        raise _bad(f"the delta leads from version {delta.from_version} to {delta.to_version}, which is not later")


def _drop(nodes: set[str], held: Mapping[str, dict[str, Item]], kind: str, item_id: str) -> None:
    present = nodes if kind == "node" else held.get(kind)
    if present is None:
        raise _bad(f"the delta drops a '{kind}'; kinds are {', '.join(KINDS)}")
    if item_id not in present:
        raise _bad(f"the delta drops {kind} '{item_id}', which the sheet does not have: fetch it again")
    if isinstance(present, set):
        present.remove(item_id)
    else:
        del present[item_id]


def _kind(item: Item) -> str:
    return str(item.__struct_config__.tag)


def _items(manifest: Manifest, pages: Sequence[bytes]) -> Iterator[Item]:
    decoder, count = msgspec.json.Decoder(Page), 0
    for number, data in enumerate(pages):
        try:
            page = decoder.decode(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _bad(f"page {number} is malformed: {error}") from error
        if page.page != number or page.version != manifest.version:
            claim = f"page {page.page} of version {page.version}"
            raise _bad(f"page {number} of version {manifest.version} says that it is {claim}")
        count += len(page.items)
        if count > ITEMS_MAX:
            raise _bad(f"the sheet has more than {ITEMS_MAX} items")
        yield from page.items


def _by_id(items: Iterable[Item], kind: type[Named]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for item in items:
        if isinstance(item, kind):
            if item.id in found:
                raise _bad(f"'{item.id}' comes twice")
            found[item.id] = item
    return found


def _bad(why: str) -> Problem:
    return Problem("DOCUMENT_INVALID", why, field="offers")
