"""Sheets from signed manifests and unsigned pages, and deltas on top: right, or refused as a whole."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet, apply, sheet_from_pages
from federation.trust.merkle import merkle_root
from schemas.interface import Interface, InterfaceKind
from schemas.offer import PAGE_BYTES_MAX, ClassTerms, Delta, Disclosure, Item, Manifest, Node, Offer, Page
from schemas.problem import Problem
from schemas.segment import Promise

ENTITY = "https://op.example"
TERMS = ClassTerms(id="any", set_up_micro=5)
OFFER = Offer(id="o1", a="u0", z="n1", route_class="any", promise=Promise(latency_us=7), free=((0, 10),))
UNI = Interface(
    id="u0",
    kind=InterfaceKind.UNI,
    name="Site",
    city="Utrecht",
    country="NL",
    lat_udeg=52_090_000,
    lon_udeg=5_120_000,
    speed_bps=10,
    mtu=1500,
    labels="1-5",
)
PAGES: tuple[tuple[Item, ...], ...] = ((TERMS, Node(id="n1")), (UNI, OFFER))


def pages(items: tuple[tuple[Item, ...], ...] = PAGES, version: int = 3) -> list[bytes]:
    return [msgspec.json.encode(Page(version, number, page)) for number, page in enumerate(items)]


def manifest(of: list[bytes], version: int = 3) -> Manifest:
    return Manifest(
        iss=ENTITY,
        iat=0,
        exp=9,
        jti="j",
        version=version,
        currency="EUR",
        disclosure=Disclosure.ABSTRACT,
        pages=len(of),
        root=merkle_root(of),
    )


def sheet() -> OperatorSheet:
    return sheet_from_pages(manifest(pages()), pages(), "Op")


def delta(**changes: object) -> Delta:
    return msgspec.convert(
        {"iss": ENTITY, "iat": 0, "exp": 9, "jti": "j", "from_version": 3, "to_version": 4} | changes, Delta
    )


def test_a_sheet_holds_every_item_by_id() -> None:
    found = sheet()
    assert (found.entity, found.name, found.version, found.currency) == (ENTITY, "Op", 3, "EUR")
    assert (found.interfaces, found.classes, found.offers) == ({"u0": UNI}, {"any": TERMS}, {"o1": OFFER})
    assert found.nodes == {"n1"}


def test_an_operator_may_publish_nothing() -> None:
    assert sheet_from_pages(manifest([]), [], "Op").offers == {}


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (pages()[:1], "promises 2 pages and 1 came"),
        (pages()[::-1], "Merkle root"),
        ([pages()[0], pages(((), (UNI,)))[1]], "Merkle root"),
    ],
)
def test_pages_that_were_not_signed_are_refused(received: list[bytes], why: str) -> None:
    with pytest.raises(Problem, match=why) as raised:
        sheet_from_pages(manifest(pages()), received, "Op")
    assert raised.value.code == "DOCUMENT_INVALID"


@pytest.mark.parametrize(
    ("signed", "why"),
    [
        ([b"{"], "page 0 is malformed"),
        ([b'{"version":3,"page":0,"items":[],"more":1}'], "page 0 is malformed"),
        (pages()[1:], "says that it is page 1"),
        (pages(version=2), "of version 2"),
        (pages(((UNI,), (UNI,))), "'u0' comes twice"),
        (pages(((Node(id="n"), Node(id="n")),)), "a node comes twice"),
        ([b" " * (PAGE_BYTES_MAX + 1)], "larger than"),
    ],
)
def test_pages_that_make_no_sense_are_refused_although_signed(signed: list[bytes], why: str) -> None:
    with pytest.raises(Problem, match=why):
        sheet_from_pages(manifest(signed), signed, "Op")


def test_a_delta_puts_and_drops_and_leaves_the_old_sheet_alone() -> None:
    old = sheet()
    dearer = structs.replace(OFFER, hourly_micro=9)
    second = structs.replace(OFFER, id="o2")
    new = apply(old, structs.replace(delta(), put=(dearer, second, Node(id="n2")), drop=(("node", "n1"),)))
    assert new.version == 4
    assert new.offers == {"o1": dearer, "o2": second}
    assert new.nodes == {"n2"}
    assert (old.version, old.offers, old.nodes) == (3, {"o1": OFFER}, {"n1"})


def test_what_is_dropped_and_put_in_one_delta_is_there_afterwards() -> None:
    new = apply(sheet(), structs.replace(delta(), put=(OFFER,), drop=(("offer", "o1"),)))
    assert new.offers == {"o1": OFFER}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"from_version": 4, "to_version": 5}, "starts at version 4 and the sheet is at 3: fetch it again"),
        ({"from_version": 2, "to_version": 3}, "starts at version 2"),
        ({"to_version": 3}, "not later"),
        ({"iss": "https://other.example"}, "does not change the sheet of"),
        ({"drop": [["offer", "o9"]]}, "does not have"),
        ({"drop": [["node", "n9"]]}, "does not have"),
        ({"drop": [["price", "o1"]]}, "kinds are interface, class, node, offer"),
    ],
)
def test_a_delta_that_does_not_continue_the_sheet_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(Problem, match=why) as raised:
        apply(sheet(), delta(**changes))
    assert raised.value.code == "DOCUMENT_INVALID"
