"""The federation as the broker knows it (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from federation.broker.discovery.endpoints import unis
from federation.broker.discovery.known import Known
from federation.broker.market.asking import Facts
from federation.broker.market.market import Snapshot
from schemas.answer import CapabilityView, FederationView, OperatorView


def federation_view(
    snapshot: Snapshot, known: Known, facts: Facts, *, memory_kib: int, discovery_ms: int
) -> FederationView:
    """Everyone of the roster, those that are absent too; `known` is at least as fresh as the snapshot.

    An operator's `component` is its place in `components`, -1 where it has published nothing.
    """
    graph = snapshot.graph
    groups = graph.components()
    place = {entity: number for number, group in enumerate(groups) for entity in group}
    views = tuple(
        _operator(entity, snapshot, known, facts, place.get(entity, -1))
        for entity in sorted(known.roster, key=lambda entity: (known.roster[entity].casefold(), entity))
    )
    return FederationView(
        operators=views,
        interfaces=sum(view.interfaces for view in views),
        interconnects=graph.interconnects(),
        one_sided=graph.one_sided(),
        offers=sum(view.offers for view in views),
        components=groups,
        memory_kib=memory_kib,
        discovery_ms=discovery_ms,
        epoch=snapshot.known.epoch,
        capabilities=tuple(_capabilities(snapshot)),
    )


def _capabilities(snapshot: Snapshot) -> Iterator[CapabilityView]:
    """What can be asked for as `any NAME` or `nearest NAME`, by name whatever its case."""
    countries: dict[str, list[str]] = {}
    for sheet in snapshot.sheets.values():
        for uni in unis(sheet):
            for name in {capability.casefold() for capability in uni.capabilities}:
                countries.setdefault(name, []).append(uni.country)
    for name in sorted(countries):
        yield CapabilityView(name=name, unis=len(countries[name]), countries=tuple(sorted(set(countries[name]))))


def _operator(entity: str, snapshot: Snapshot, known: Known, facts: Facts, component: int) -> OperatorView:
    sheet = snapshot.sheets.get(entity)
    return OperatorView(
        entity=entity,
        name=known.roster[entity],
        connected=entity not in known.absent,
        disclosure=str(sheet.disclosure) if sheet else "",
        version=sheet.version if sheet else 0,
        interfaces=len(sheet.interfaces) if sheet else 0,
        offers=len(sheet.offers) if sheet else 0,
        interconnects=snapshot.graph.interconnects(entity) if sheet else 0,
        attested=facts(entity) is not None,
        component=component,
        why=known.absent.get(entity, ""),
    )
