"""The graphs that are measured, by name: which operators, in which form of disclosure, how many times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from benchmarks.caida.copies import copied, original_of
from benchmarks.caida.draft import Wish
from benchmarks.caida.facts import outside_eu
from benchmarks.caida.publish import Published, published
from federation.broker.discovery.sheet import OperatorSheet
from federation.policy.limits import Refusals
from schemas.offer import Disclosure

SEED: Final = 1


class Form(NamedTuple):
    """What a graph is made of; `said` tells a person."""

    said: str
    disclosure: Disclosure
    wish: Wish
    k: int = 1


class Federation(NamedTuple):
    """Sheets by entity id, and what policy refuses a buyer whose data stay in the EU."""

    name: str
    sheets: Mapping[str, OperatorSheet]
    outside_eu: Refusals


# The fifteen of the demo, connected within 60 km.
FIFTEEN: Final = (1103, 1136, 680, 3209, 3320, 20965, 559, 2200, 3215, 137, 12874, 2611, 6830, 766, 786)
ALL: Final = Wish(seed=SEED)
THIN: Final = Wish(meets_max=16, unis_max=8, seed=SEED)
FORMS: Final = {
    "abstract-11k": Form("abstract, the 15 of the demo", Disclosure.ABSTRACT, Wish(asns=FIFTEEN, seed=SEED)),
    "abstract-40k": Form(
        "abstract, operators with PoPs in the EU", Disclosure.ABSTRACT, Wish(european=True, seed=SEED)
    ),
    "abstract-100k": Form("abstract, all 98 operators", Disclosure.ABSTRACT, ALL),
    "mesh-440k": Form("mesh, all 98 operators, edges thinned out", Disclosure.MESH, THIN),
    "abstract-500k": Form("abstract, 5 copies of the 98", Disclosure.ABSTRACT, ALL, 5),
    "abstract-5m": Form("abstract, 51 copies of the 98", Disclosure.ABSTRACT, ALL, 51),
}


def federation(name: str) -> Federation:
    """The federation of a form."""
    form = FORMS[name]
    return joined(name, published(form.wish, form.disclosure), form.k, form.wish.seed)


def joined(name: str, pages: Mapping[str, Published], k: int, seed: int) -> Federation:
    """What operators publish, `k` times, as one federation."""
    sheets = copied({entity: one.sheet() for entity, one in pages.items()}, k, seed)
    refused = outside_eu(pages)
    everywhere = {
        (entity, route_class): refused[original_of(entity), route_class]
        for entity, sheet in sheets.items()
        for route_class in sheet.classes
        if (original_of(entity), route_class) in refused
    }
    return Federation(name, sheets, everywhere)
