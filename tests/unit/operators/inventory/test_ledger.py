from __future__ import annotations

from msgspec import json, structs

from operators.inventory.calendar import Refusal
from operators.inventory.ledger import Claim, Inventory, LabelTaken
from schemas import labels
from tests.support.footprints import GBPS, enni, footprint, link, uni

LINK, UNI, ENNI = "link-ams--bru", "uni-ams", "enni-bru--as2-x"


def inventory() -> Inventory:
    return Inventory.of(
        footprint(["ams", "bru"], [link("ams", "bru")], [uni("ams", "2-9")], [enni("bru", labels="5-6")])
    )


def claim(name: str, *, gbps: int = 10, label: int = 5, start_s: int = 0, end_s: int = 100) -> Claim:
    return Claim(
        id=name,
        links=(LINK,),
        ends=((UNI, label), (ENNI, label)),
        bandwidth_bps=gbps * GBPS,
        start_s=start_s,
        end_s=end_s,
    )


def left(stock: Inventory) -> tuple[int, int, int, str, str]:
    return (
        stock.free([LINK], 0, 100) // GBPS,
        stock.free([UNI], 0, 100) // GBPS,
        stock.free([ENNI], 0, 100) // GBPS,
        labels.ranges(stock.free_labels(UNI, 0, 100)),
        labels.ranges(stock.free_labels(ENNI, 0, 100)),
    )


def test_a_claim_takes_link_interfaces_and_labels_in_one_step() -> None:
    stock = inventory()
    assert left(stock) == (400, 100, 100, "2-9", "5-6")
    assert stock.admit(claim("a")) is None
    assert left(stock) == (390, 90, 90, "2-4,6-9", "6")


def test_too_little_capacity_names_the_resource_and_takes_no_label() -> None:
    stock = inventory()
    stock.admit(claim("a", gbps=60))
    assert stock.admit(claim("b", gbps=50, label=6)) == Refusal(UNI, 40 * GBPS)
    assert left(stock) == (340, 40, 40, "2-4,6-9", "6")


def test_a_taken_label_names_the_free_ones_and_takes_no_capacity() -> None:
    stock = inventory()
    stock.admit(claim("a"))
    assert stock.admit(claim("b")) == LabelTaken(UNI, 5, labels.parse("2-4,6-9"))
    assert stock.admit(claim("c", label=7)) == LabelTaken(ENNI, 7, labels.parse("6"))
    assert left(stock) == (390, 90, 90, "2-4,6-9", "6")


def test_a_replacement_keeps_its_own_label_and_bandwidth() -> None:
    stock = inventory()
    stock.admit(claim("hold", gbps=80))
    assert stock.replace("hold", claim("lease", gbps=100)) is None
    assert stock.claim("hold") is None
    assert stock.claim("lease") == claim("lease", gbps=100)
    assert left(stock)[:3] == (300, 0, 0)


def test_a_refused_replacement_changes_nothing() -> None:
    stock = inventory()
    stock.admit(claim("a"))
    stock.admit(claim("b", label=6))
    before = left(stock)
    assert stock.replace("a", claim("a2", label=6)) == LabelTaken(UNI, 6, labels.parse("2-5,7-9"))
    assert stock.replace("a", claim("a2", gbps=95)) == Refusal(UNI, 90 * GBPS)
    assert left(stock) == before
    assert stock.claim("a") == claim("a")


def test_an_extension_meets_the_next_holder_of_its_label() -> None:
    stock = inventory()
    stock.admit(claim("a"))
    stock.admit(claim("next", start_s=200, end_s=300))
    assert stock.extend("a", 200) is None
    assert stock.extend("a", 201) == LabelTaken(UNI, 5, labels.parse("2-4,6-9"))
    extended = stock.claim("a")
    assert extended is not None
    assert extended.end_s == 200


def test_a_withdrawn_claim_leaves_nothing_behind() -> None:
    stock = inventory()
    stock.admit(claim("a"))
    stock.withdraw("a")
    stock.withdraw("a")
    assert left(stock) == (400, 100, 100, "2-9", "5-6")
    assert stock.claims() == ()


def test_both_ends_on_one_interface_count_twice() -> None:
    stock = inventory()
    hairpin = structs.replace(claim("a", gbps=60), links=(), ends=((UNI, 2), (UNI, 3)))
    assert stock.admit(hairpin) == Refusal(UNI, 100 * GBPS)
    assert stock.admit(structs.replace(hairpin, bandwidth_bps=50 * GBPS)) is None


def test_a_segment_inside_one_pop_needs_no_link() -> None:
    stock = inventory()
    assert stock.admit(structs.replace(claim("a"), links=())) is None
    assert left(stock)[0] == 400


def test_stored_claims_rebuild_the_inventory_in_any_order() -> None:
    stock = inventory()
    for one in (claim("a"), claim("b", label=6), claim("c", start_s=100, end_s=200)):
        assert stock.admit(one) is None
    stored = [json.encode(one) for one in stock.claims()]
    rebuilt = inventory()
    for data in reversed(stored):
        rebuilt.restore(json.decode(data, type=Claim))
    assert left(rebuilt) == left(stock)
    assert rebuilt.admit(claim("d", start_s=150, end_s=160)) == stock.admit(claim("d", start_s=150, end_s=160))


def test_the_offer_sees_what_is_left_over_time() -> None:
    stock = inventory()
    stock.admit(claim("a", start_s=50, end_s=60))
    assert stock.free_steps(UNI, 0, 1000) == ((0, 100 * GBPS), (50, 90 * GBPS), (60, 100 * GBPS))
    stock.forget_before(55)
    assert stock.free_steps(UNI, 55, 1000) == ((55, 90 * GBPS), (60, 100 * GBPS))
    assert stock.free([UNI, LINK], 55, 60) == 90 * GBPS
