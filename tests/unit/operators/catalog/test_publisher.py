"""Sheets and deltas: signed, within their caps, versions that only grow, and a history that ends."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from federation.trust.jose import verify_jws
from federation.trust.keys import PrivateKey, generate
from federation.trust.merkle import merkle_root
from operators.access.signer import Signer
from operators.catalog.items import Seen, key, slight
from operators.catalog.layout import lay_out
from operators.catalog.publisher import HISTORY_LIFE_S, SLIGHT_S, Behind, Publisher
from operators.inventory.footprint import Footprint
from operators.inventory.ledger import Claim, Inventory
from operators.pricing.card import ClassCard
from operators.pricing.network import Network
from schemas.interface import Interface
from schemas.labels import span
from schemas.offer import PAGE_BYTES_MAX, Delta, Disclosure, Item, Manifest, Offer, Page, steps_least
from tests.support.footprints import ENTITY, GBPS, footprint, link, uni
from tests.support.loops import run
from tests.support.seams import NOW, CountingEntropy, FixedClock

DAY = 86_400


class World:
    """A publisher, and a watcher that follows it."""

    def __init__(self, drawn: Footprint, disclosure: Disclosure = Disclosure.MESH) -> None:
        self.clock, self.key = FixedClock(), generate()
        self.inventory = Inventory.of(drawn)
        network = Network(drawn, [ClassCard(id="any")], "EUR", "UTC")
        signer = Signer(ENTITY, self.key, self.clock, CountingEntropy())
        self.publisher = Publisher(
            network, self.inventory, lay_out(network, disclosure), signer, horizon_days=30, granularity_bps=GBPS
        )
        self.publisher.open()

    def claim(
        self, name: str = "c", bandwidth_bps: int = 10 * GBPS, start_s: int = NOW, end_s: int = NOW + 600
    ) -> None:
        claim = Claim(
            id=name,
            links=("link-a--b",),
            ends=(("uni-a", 100), ("uni-b", 200)),
            bandwidth_bps=bandwidth_bps,
            start_s=start_s,
            end_s=end_s,
        )
        assert self.inventory.admit(claim) is None
        self.publisher.mark(("link-a--b", "uni-a", "uni-b"))

    def small_claim(self, bandwidth_bps: int = GBPS) -> None:
        """One more claim, with labels of its own."""
        number = 100 + len(self.inventory.claims())
        claim = Claim(
            id=f"c{number}",
            links=("link-a--b",),
            ends=(("uni-a", number), ("uni-b", number)),
            bandwidth_bps=bandwidth_bps,
            start_s=NOW,
            end_s=NOW + 600,
        )
        assert self.inventory.admit(claim) is None
        self.publisher.mark(("link-a--b", "uni-a", "uni-b"))

    def read(self) -> dict[tuple[str, str], Item]:
        """The current sheet as a broker reads it."""
        manifest, pages = self.publisher.sheet()
        trusted = verify_jws(manifest, Manifest, keys(self.key), now=self.clock.now(), iss=ENTITY)
        assert (trusted.version, trusted.pages, trusted.root) == (
            self.publisher.version,
            len(pages),
            merkle_root(pages),
        )
        assert all(len(page) <= PAGE_BYTES_MAX for page in pages)
        decoded = [msgspec.json.decode(page, type=Page) for page in pages]
        assert [(page.version, page.page) for page in decoded] == [(trusted.version, i) for i in range(len(pages))]
        return {key(item): item for page in decoded for item in page.items}

    def deltas(self, since: int) -> list[Delta]:
        return [
            verify_jws(past.token, Delta, keys(self.key), now=self.clock.now(), iss=ENTITY)
            for past in self.publisher.since(since)
        ]


def keys(private: PrivateKey) -> dict[str, object]:
    return {private.kid: private.key.public_key()}


def pair() -> Footprint:
    return footprint(["a", "b"], [link("a", "b")], [uni("a"), uni("b")])


def offer(items: dict[tuple[str, str], Item], name: str = "any:m0") -> Offer:
    found = items[("offer", name)]
    assert isinstance(found, Offer)
    return found


def test_a_sheet_shows_what_is_free() -> None:
    world = World(pair())
    world.claim()
    items = world.read()
    assert steps_least(offer(items).free, NOW, NOW + DAY) == 100 * GBPS  # published before the claim
    world.publisher.flush()
    items = world.read()
    assert steps_least(offer(items).free, NOW, NOW + DAY) == 90 * GBPS
    assert steps_least(offer(items).free, NOW + 600, NOW + DAY) == 100 * GBPS
    a = items[("interface", "uni-a")]
    assert isinstance(a, Interface)
    assert a.labels == "2-99,101-4094"


def test_a_broker_with_a_slow_clock_finds_now_covered() -> None:
    assert steps_least(offer(World(pair()).read()).free, NOW - 120, NOW + 60) == 100 * GBPS


def test_nothing_is_for_sale_after_the_horizon() -> None:
    assert steps_least(offer(World(pair()).read()).free, NOW, NOW + 31 * DAY) == 0


def test_deltas_bring_an_old_sheet_up_to_date() -> None:
    world = World(pair())
    held, version = world.read(), world.publisher.version
    for number in range(3):
        world.claim(
            f"c{number}", start_s=NOW + number * 600, end_s=NOW + number * 600 + 300
        ) if number else world.claim()
        world.publisher.flush()
    for delta in world.deltas(version):
        assert (delta.from_version, delta.to_version) == (version, version + 1)
        version = delta.to_version
        held |= {key(item): item for item in delta.put}
    assert (held, version) == (world.read(), world.publisher.version)


def test_what_does_not_show_makes_no_delta() -> None:
    world = World(pair())
    before = world.publisher.version
    world.publisher.mark(("link-a--b",))
    assert world.publisher.flush() == 0
    assert world.publisher.version == before


def test_slight_changes_add_up_to_one_that_shows() -> None:
    world, told = World(pair()), list[int]()
    for _ in range(4):
        world.small_claim()
        told.append(world.publisher.flush(slight_too=False))
    assert told == [0, 1, 0, 1], "one of 100 Gb/s is slight, two are more than one part in 64"
    assert steps_least(offer(world.read()).free, NOW, NOW + DAY) == 96 * GBPS


def test_a_slight_change_waits_and_is_not_lost() -> None:
    world = World(pair())
    world.small_claim()
    assert [world.publisher.flush(slight_too=slight_too) for slight_too in (False, False, True, True)] == [0, 0, 1, 0]
    assert steps_least(offer(world.read()).free, NOW, NOW + DAY) == 99 * GBPS


def test_slight_changes_go_along_with_what_shows() -> None:
    world = World(footprint(["a", "b", "c"], [link("a", "b"), link("b", "c")], [uni("a"), uni("b"), uni("c")]))
    world.small_claim()
    claim = Claim(
        id="d", links=("link-b--c",), ends=(("uni-c", 100),), bandwidth_bps=50 * GBPS, start_s=NOW, end_s=NOW + 600
    )
    assert world.inventory.admit(claim) is None
    world.publisher.mark(("link-b--c", "uni-c"))
    assert [world.publisher.flush(slight_too=slight_too) for slight_too in (False, True)] == [1, 0]


def test_labels_and_what_is_gone_altogether_show() -> None:
    shown = Seen(((NOW, 100 * GBPS),), span(2, 4094))
    assert slight(shown, shown._replace(labels=span(2, 4090)))
    assert not slight(shown, shown._replace(labels=span(2, 4000)))
    assert not slight(shown._replace(labels=0), shown._replace(labels=1 << 7))
    assert not slight(shown, shown._replace(free=((NOW, 0),)))
    assert not slight(shown._replace(free=((NOW, 0),)), shown)


def test_versions_grow_over_a_restart() -> None:
    first = World(pair())
    for number in range(50):
        first.claim(f"c{number}", start_s=NOW + number * 600, end_s=NOW + (number + 1) * 600)
        first.publisher.flush()
    later = World(pair())
    later.clock.advance(5)
    again = World(pair())
    assert first.publisher.version == NOW * 1000 + 50
    assert again.publisher.version == NOW * 1000
    assert first.publisher.version < (NOW + 5) * 1000


def test_the_horizon_moves_once_a_day() -> None:
    world = World(pair())
    version = world.publisher.version
    world.clock.advance(DAY)
    world.publisher.roll()
    world.publisher.flush()
    assert steps_least(offer(world.read()).free, NOW + 30 * DAY, NOW + 30 * DAY + 60) == 100 * GBPS
    assert world.publisher.version > version
    world.publisher.roll()
    assert world.publisher.flush() == 0


def test_a_manifest_is_renewed_before_it_expires() -> None:
    world = World(pair())
    world.read()
    world.clock.advance(7 * 3600)
    world.read()


@pytest.mark.parametrize("version", [0, NOW * 1000 - 1, NOW * 1000 + 5])
def test_a_version_outside_the_history_is_behind(version: int) -> None:
    world = World(pair())
    world.claim()
    world.publisher.flush()
    with pytest.raises(Behind):
        world.publisher.since(version)


def test_history_is_not_older_than_its_signatures_live() -> None:
    world = World(pair())
    version = world.publisher.version
    world.claim()
    world.publisher.flush()
    world.clock.advance(HISTORY_LIFE_S + 1)
    with pytest.raises(Behind):
        world.publisher.since(version)


def test_a_large_change_is_split_into_deltas_within_the_cap() -> None:
    names = [f"p{number}" for number in range(60)]
    wide = footprint(names, [link("p0", name) for name in names[1:]], [uni(name) for name in names])
    world = World(wide)
    version = world.publisher.version
    for name in names[1:]:
        claim = Claim(
            id=name,
            links=(f"link-p0--{name}",),
            ends=(("uni-p0", 100), (f"uni-{name}", 100)),
            bandwidth_bps=GBPS,
            start_s=NOW + int(name[1:]) * 10,
            end_s=NOW + int(name[1:]) * 10 + 5,
        )
        assert world.inventory.admit(claim) is None
        world.publisher.mark((*claim.links, "uni-p0", f"uni-{name}"))
    assert world.publisher.flush() > 1
    assert all(len(past.token) <= 48 * 1024 for past in world.publisher.since(version))
    assert len(world.deltas(version)) == world.publisher.version - version


@pytest.mark.asyncio
async def test_a_watcher_gets_what_it_missed_and_what_comes() -> None:
    world = World(pair())
    version = world.publisher.version
    world.claim("c0")
    world.publisher.flush()
    runner = asyncio.create_task(world.publisher.run())
    stream = world.publisher.watch(version)
    first = await anext(stream)
    following = asyncio.ensure_future(anext(stream))
    world.claim("c1", start_s=NOW + 900, end_s=NOW + 1800)
    second = await asyncio.wait_for(following, 5)
    for number, token in enumerate((first, second)):
        delta = verify_jws(token, Delta, keys(world.key), now=NOW, iss=ENTITY)
        assert delta.from_version == version + number
    await stream.aclose()
    runner.cancel()


def test_slight_changes_show_at_once_and_then_at_most_every_few_seconds() -> None:
    async def scenario() -> list[float]:
        world, loop, times = World(pair()), asyncio.get_running_loop(), list[float]()
        runner = asyncio.create_task(world.publisher.run())
        begun, version = loop.time(), world.publisher.version
        while loop.time() < begun + 12:
            world.small_claim(1)
            await asyncio.sleep(0.2)
            if world.publisher.version != version:
                version = world.publisher.version
                times.append(loop.time() - begun)
        runner.cancel()
        return times

    first, second, third = run(scenario())
    assert first < 0.5
    assert SLIGHT_S <= second - first < SLIGHT_S + 0.5
    assert SLIGHT_S <= third - second < SLIGHT_S + 0.5


def test_the_last_of_slight_changes_shows_though_nothing_follows() -> None:
    async def scenario() -> None:
        world = World(pair())
        runner = asyncio.create_task(world.publisher.run())
        for _ in range(2):
            world.small_claim(1)
            await asyncio.sleep(1)
        assert steps_least(offer(world.read()).free, NOW, NOW + DAY) == 99 * GBPS
        shown = world.publisher.version
        await asyncio.sleep(SLIGHT_S)
        assert world.publisher.version == shown + 1
        runner.cancel()

    run(scenario())
