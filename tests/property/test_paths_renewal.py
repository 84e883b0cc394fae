"""Prices, capacity and labels that walk: after each change the kernel's answer, with whatever it kept, is that of a
search from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

import pytest
from msgspec import structs

pytest.importorskip("numpy")

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.market.market import advance
from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.arrays import CROSS, FREE
from federation.broker.paths.kernel.compiled import Code
from federation.broker.paths.kernel.engine import Engine
from federation.broker.paths.kernel.live import GBPS, HOURLY, STEPS
from federation.broker.paths.network import label_mask
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from schemas.interface import Interface
from schemas.offer import Offer
from schemas.segment import Limits, window
from tests.support.federations import focused
from tests.support.kernels import taken
from tests.support.path_queries import question
from tests.support.path_worlds import LONG, naming, route_key

CASES = 300 if LONG else 6
CHANGES = 12
ENOUGH = 10**13
Sheets = Mapping[str, OperatorSheet]


def walked(rng: Random, sheets: Sheets, *, room: bool) -> dict[str, OperatorSheet]:
    """Some offers dearer or cheaper, and with `room` also some offers and interfaces with other capacity over time, and
    interfaces with other labels."""
    found = dict(sheets)
    for entity in rng.sample(sorted(sheets), rng.randint(1, len(sheets))):
        offers = dict(sheets[entity].offers)
        for name in rng.sample(sorted(offers), min(len(offers), rng.randint(1, 4))):
            offers[name] = _walked(rng, offers[name], room=room)
        interfaces = dict(sheets[entity].interfaces)
        for name in rng.sample(sorted(interfaces), min(len(interfaces), rng.randint(0, 2))) if room else ():
            interfaces[name] = _freed(rng, interfaces[name])
        version = sheets[entity].version + 1
        found[entity] = structs.replace(sheets[entity], version=version, offers=offers, interfaces=interfaces)
    return found


def _freed(rng: Random, interface: Interface) -> Interface:
    """Other labels, now and then none, and often other capacity."""
    labels = rng.choice(("", "1-4094", f"{rng.randint(1, 50)}-{rng.randint(50, 4094)}", interface.labels))
    free = tuple((second, rng.choice((0, bps, bps, 2 * bps, 10**12))) for second, bps in interface.free)
    if rng.random() < 0.3:
        free = (*free, (free[-1][0] + rng.randint(1, 10**6), 10**12))
    return structs.replace(interface, labels=labels, free=free)


def _walked(rng: Random, offer: Offer, *, room: bool) -> Offer:
    percent = rng.choice((0, 30, 80, 99, 101, 150, 400))
    changed = structs.replace(
        offer,
        hourly_micro=offer.hourly_micro * percent // 100,
        gbps_hourly_micro=offer.gbps_hourly_micro * rng.choice((percent, 100)) // 100,
    )
    if not room or rng.random() < 0.5:
        return changed
    free = tuple((second, rng.choice((0, bps, 2 * bps, 10**12))) for second, bps in offer.free)
    return structs.replace(changed, free=free)


def told(query: Query, answer: object) -> list[tuple[object, ...]]:
    """What two answers must have in common."""
    return [tuple(route_key(query, route)) for route in answer.routes] if isinstance(answer, Found) else []


def asked(rng: Random, sheets: Sheets) -> Iterator[Query]:
    """Two questions that keep their bounds from one epoch to the next, one of them under a limit."""
    for limits in (Limits(), Limits(latency_us=rng.choice((20, 30, 60)))):
        query = structs.replace(taken(question(rng, dict(sheets))), k=1, limits=limits)
        yield structs.replace(query, budget_micro=rng.choice((None, None, 10**5, 10**8)))


@pytest.mark.parametrize("room", [False, True])
@pytest.mark.parametrize("trouble", ["sums", "price"])
def test_after_every_change_of_price_the_answer_is_that_of_a_search_from_scratch(
    code: Code, trouble: str, room: bool
) -> None:
    for seed in range(CASES):
        rng, engine = Random(f"{seed} {trouble} {room}"), Engine(code)
        sheets: Sheets = focused(rng, trouble)
        graph = Graph.build(sheets)
        engine.prepare(graph)
        questions = list(asked(rng, sheets))
        with naming(seed):
            for _ in range(CHANGES):
                after = walked(rng, sheets, room=room)
                now = advance(graph, sheets, after)
                assert now.since is not None, "only figures changed"
                engine.prepare(now, graph)
                before = {n: told(q, find(graph, q, explain=False, kernel=engine)) for n, q in enumerate(questions)}
                rebuilt, earlier = Graph.build(after), Graph.build(sheets)
                for number, query in enumerate(questions):
                    answer = find(now, query, explain=False, kernel=engine)
                    assert told(query, answer) == told(query, find(rebuilt, query, explain=False))
                    assert before[number] == told(query, find(earlier, query, explain=False)), "an epoch stays"
                graph, sheets = now, after


def test_one_more_change_of_capacity_does_not_lend_the_bounds_of_one_window_to_another(code: Code) -> None:
    found = 0
    for seed in range(CASES):
        rng, engine = Random(f"{seed} windows"), Engine(code)
        sheets: Sheets = focused(rng, "price")
        query = structs.replace(next(asked(rng, sheets)), budget_micro=None)
        begin, half = query.window.start_s, query.window.start_s + 1000
        sheets = {entity: _until(sheet, begin - 1000, half) for entity, sheet in sheets.items()}
        graph = Graph.build(sheets)
        engine.prepare(graph)
        find(graph, structs.replace(query, window=window(half, half + 10)), explain=False, kernel=engine)
        entity = next(entity for entity in sorted(sheets) if sheets[entity].offers)
        offers = dict(sheets[entity].offers)
        name, offer = next(iter(offers.items()))
        offers[name] = structs.replace(offer, free=((begin - 1000, ENOUGH), (begin - 5, ENOUGH - 1), (half, 0)))
        after = {**sheets, entity: structs.replace(sheets[entity], offers=offers)}
        now, early = advance(graph, sheets, after), structs.replace(query, window=window(begin, begin + 10))
        engine.prepare(now, graph)
        with naming(seed):
            scratch = told(early, find(Graph.build(after), early, explain=False))
            assert told(early, find(now, early, explain=False, kernel=engine)) == scratch
        found += bool(scratch)
    assert found, "some of them lead somewhere"


def _until(sheet: OperatorSheet, begin_s: int, until_s: int) -> OperatorSheet:
    """Everything free until a second, and no offer after it."""
    offers = {name: structs.replace(o, free=((begin_s, ENOUGH), (until_s, 0))) for name, o in sheet.offers.items()}
    sides = {name: structs.replace(i, free=((begin_s, ENOUGH),)) for name, i in sheet.interfaces.items()}
    return structs.replace(sheet, offers=offers, interfaces=sides)


def test_the_rows_of_every_epoch_are_those_of_its_offers_whatever_is_written_again() -> None:
    for seed in range(CASES):
        rng, engine = Random(seed), Engine()
        sheets: Sheets = focused(rng, "sums")
        graph = Graph.build(sheets)
        engine.prepare(graph)
        held = [graph]
        with naming(seed):
            for _ in range(4 * CHANGES):
                sheets, earlier = walked(rng, sheets, room=True), sheets
                now = advance(graph, earlier, sheets)
                engine.prepare(now, graph)
                graph = now
                held = [one for one in held if rng.random() < 0.6] + [graph]
                for one in held:
                    rows_are_those_of_the_offers(one)


def rows_are_those_of_the_offers(graph: Graph) -> None:
    """Every arc's price and function of time, as objects and as numbers; and every interface's."""
    net = graph.arrays.net
    for number, network in enumerate(graph.networks):
        for place, interface in enumerate(network.interfaces):
            row = net.vertices[graph.bases[number] + place]
            first, last = net.step_ptr[row[FREE]], net.step_ptr[row[FREE] + 1]
            assert interface is network.sheet.interfaces[interface.id]
            assert network.labels[place] == label_mask(interface.labels)
            assert [tuple(step) for step in net.steps[first:last].tolist()] == [tuple(step) for step in interface.free]
            crossing = graph.crossings[network.entity][place]
            both = network.labels[place] & graph.by_entity[crossing[0]].labels[crossing[1]] if crossing else 0
            assert (row[CROSS] >= 0) == bool(both)
        for place, arc in enumerate(network.arcs):
            offer, row = network.sheet.offers[arc.offer], net.live[graph.arrays.arc_base[number] + place]
            first, last = net.step_ptr[row[STEPS]], net.step_ptr[row[STEPS] + 1]
            assert (arc.hourly_micro, arc.gbps_hourly_micro, arc.free) == (row[HOURLY], row[GBPS], offer.free)
            assert (offer.hourly_micro, offer.gbps_hourly_micro) == (row[HOURLY], row[GBPS])
            assert [tuple(step) for step in net.steps[first:last].tolist()] == [tuple(step) for step in offer.free]


def test_an_offer_that_leads_elsewhere_makes_a_new_network() -> None:
    sheets: Sheets = focused(Random(1), "sums")
    graph = Graph.build(sheets)
    entity = next(entity for entity in sorted(sheets) if sheets[entity].offers)
    offers = dict(sheets[entity].offers)
    name = sorted(offers)[0]
    promise = structs.replace(offers[name].promise, latency_us=offers[name].promise.latency_us + 1)
    offers[name] = structs.replace(offers[name], promise=promise)
    changed = structs.replace(sheets[entity], offers=offers)
    assert graph.renewed([changed]) is None
    now = advance(graph, sheets, {**sheets, entity: changed})
    assert now.since is None
    assert now.by_entity[entity] is not graph.by_entity[entity]
