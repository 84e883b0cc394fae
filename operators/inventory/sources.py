"""Published topologies, as the topohub package carries them, and the towns near their places.

The only module that touches topohub and reverse_geocode; both come with the extra `peerway[demo]` and are
looked for when first asked, because a running operator needs neither.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import islice
from typing import Any, Final

from operators.inventory.drafting import Site, Survey, Town
from schemas.problem import Problem, invalid

FAMILIES: Final = ("caida/2024-08", "topozoo", "sndlib")
_MEASURED: Final = {
    "caida/2024-08": "Where the PoPs are and which of them are joined: seen by CAIDA in August 2024.",
    "topozoo": "Where the PoPs are and which of them are joined: read by the Internet Topology Zoo off the "
    "operator's own map.",
    "sndlib": "Where the PoPs are and which of them are joined: as the design instance of SNDlib says.",
}
# SNDlib wrote these four in degrees and minutes, 2.20 48.51 for Paris at 2°20' E 48°51' N, and topohub copies
# that; its other instances are decimal, or a drawing without a place on Earth.
IN_MINUTES: Final = frozenset({"sndlib/dfn-bwin", "sndlib/nobel-eu", "sndlib/nobel-us", "sndlib/pdh"})


def known() -> list[str]:
    """Every source that can be read, sorted."""
    data = _data()
    return sorted(
        f"{family}/{entry.name.removesuffix('.json')}"
        for family in FAMILIES
        for entry in data.joinpath(family).iterdir()
        if entry.name.endswith(".json")
    )


def read(source: str) -> Survey:
    """The survey of a source. Raises `Problem` for one that is unknown or has no places on Earth."""
    data = topology(source)
    _check_drawing(source, data["nodes"])
    places = {node["id"]: index for index, node in enumerate(data["nodes"])}
    joins = ((places[edge["source"]], places[edge["target"]]) for edge in data["edges"])
    sites = tuple(_site(node, minutes=source in IN_MINUTES) for node in data["nodes"])
    return Survey(source, sites, tuple(joins), _MEASURED[source.rpartition("/")[0]])


def topology(source: str) -> dict[str, Any]:
    """A source as topohub has it: `nodes` with `pos` (longitude first) and `edges` between their ids."""
    sources = known()
    if source not in sources:
        raise invalid("SOURCE", f"'{source}' is not known; {_advice(source, sources)}")
    # Not topohub.get(): it leaves the file it opened to the garbage collector.
    data: dict[str, Any] = json.loads(_data().joinpath(f"{source}.json").read_bytes())
    return data


def gather(names: Sequence[str]) -> list[tuple[Survey, tuple[Town, ...]]]:
    """The topology of every source and the towns near its sites, in order; raises like `read`."""
    surveys = [read(name) for name in names]
    found = iter(towns([site for survey in surveys for site in survey.sites]))
    return [(survey, tuple(islice(found, len(survey.sites)))) for survey in surveys]


def towns(sites: Sequence[Site]) -> list[Town]:
    """The town nearest to each site. Loading the towns takes about a second, so ask for all sites at once."""
    try:
        import reverse_geocode
    except ModuleNotFoundError:
        raise _missing("reverse_geocode") from None
    if not sites:
        return []
    found = reverse_geocode.search([(site.lat, site.lon) for site in sites])
    return [Town(town["city"], town["country_code"].upper()) for town in found]


def _data() -> Traversable:
    try:
        return resources.files("topohub").joinpath("data")
    except ModuleNotFoundError:
        raise _missing("topohub") from None


def _missing(package: str) -> Problem:
    return Problem("UNAVAILABLE", f"footprints are drafted with {package}: pip install 'peerway[demo]'")


def _site(node: dict[str, Any], *, minutes: bool) -> Site:
    lon, lat = (_from_minutes(x) if minutes else float(x) for x in node["pos"])
    return Site(node.get("name", ""), lat, lon)


def _from_minutes(value: float) -> float:
    """Degrees.minutes to decimal degrees: 2.20 is 2°20', that is 2.3333."""
    minutes, degrees = math.modf(abs(value))
    return round(math.copysign(degrees + minutes / 0.6, value), 4)


def _check_drawing(source: str, nodes: Sequence[dict[str, Any]]) -> None:
    """Some SNDlib instances are drawn on a plane: whole numbers throughout, most beyond any degree."""
    if all(float(x).is_integer() for node in nodes for x in node["pos"]):
        raise invalid("SOURCE", f"'{source}' is drawn on a plane and has no places on Earth; choose another")


def _advice(source: str, sources: Sequence[str]) -> str:
    """Near matches: the same name in another place or spelling first, then what looks alike."""
    wanted = source.lower()
    tail = wanted.rpartition("/")[2].removeprefix("as")
    same = [one for one in sources if one.lower().rpartition("/")[2] == tail]
    spelled = {one.lower(): one for one in sources}
    alike = [spelled[one] for one in get_close_matches(wanted, spelled, n=3, cutoff=0.6)]
    near = list(dict.fromkeys(same + alike))[:3]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return "write caida/2024-08/<ASN>, topozoo/<name> or sndlib/<name>, for example caida/2024-08/1103"
