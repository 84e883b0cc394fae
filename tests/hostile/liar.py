"""A lying operator, or broker: marks of its own making, sites moved in its sheet, facts that it keeps to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.market.asking import Terms
from federation.broker.market.judging import Rules, subjects, verdicts
from federation.broker.market.sites import Sites
from federation.policy.catalogue import shipped_policies
from federation.policy.engine import LoadedPolicy, load
from federation.trust.belief import Attested, attested
from federation.trust.domain import load_domain
from federation.trust.throwaway import ThrowawayDomain
from operators.access.selling import SAMPLE, selling
from schemas.entity import FACTS_MARK
from schemas.interface import Interface, InterfaceKind
from schemas.jurisdiction import Attestation, AttestedPlace, ClassFacts
from schemas.offer import Disclosure
from schemas.price import RateTable
from tests.hostile.control import beaten
from tests.support.admission import Gatehouse
from tests.support.authority import BROKER as THERE
from tests.support.federation import house
from tests.support.seams import NOW

LIAR, BROKER, AUDITOR = "https://liar.example", "https://broker.example", "https://auditor.example"
WHERE: Final = {"sonata": "https://127.0.0.1:1", "mesh": "127.0.0.1:2", "documents": "https://127.0.0.1:1"}
HONEST: Final = Attestation(**house("DE", "DE"))
ANYBODY: Final = "permit(principal, action, resource);"


def crossing(*countries: str) -> Attestation:
    """Somebody German in every respect, whose traffic crosses these countries."""
    return structs.replace(HONEST, classes={"any": ClassFacts(countries=countries, sea=False, landings=())})


def terms(known: Callable[[str], Attested], sites: Callable[[str], bool] = lambda entity: True) -> Terms:
    """A broker's, by what is attested of everybody."""
    return Terms(RateTable("", {}), lambda one: known(one).facts, evidence=known, sites=sites, broker=BROKER)


def sell(policy: LoadedPolicy, asked: Terms) -> None:
    """A path over the liar, as a broker decides it."""
    denied = verdicts(Rules((policy,), None, NOW), subjects([(LIAR, "any")], asked))
    if denied:
        beaten("; ".join(reason for one in denied for reason in one.reasons))


def folder_of(folder: Path, given: Iterable[tuple[str, Attestation]]) -> ThrowawayDomain:
    """A trust domain, and what its one auditor attests."""
    domain = ThrowawayDomain(folder, NOW)
    domain.add_operator(LIAR, "Liar", **WHERE)
    domain.add_broker(BROKER, "Broker", endpoint="https://127.0.0.1:3")
    domain.add_auditor(AUDITOR, "Auditor")
    for entity, facts in given:
        domain.attest(AUDITOR, entity, facts)
    domain.write()
    return domain


def believed(domain: ThrowawayDomain) -> Callable[[str], Attested]:
    """What somebody who trusts the anchor believes."""
    found = load_domain(domain.folder, domain.anchors_file, NOW)
    return lambda entity: attested(found, entity, NOW)


async def attests_itself(folder: Path) -> None:
    """T1: the auditor saw it cross the United Kingdom; its own mark says Germany, and lasts longer."""
    domain = folder_of(folder, [(LIAR, crossing("DE", "GB")), (BROKER, HONEST)])
    domain.attest_itself(LIAR, crossing("DE"))
    sell(shipped_policies()["eu-only"], terms(believed(domain)))


async def shows_no_mark_at_all(folder: Path) -> None:
    """T1: nobody looked at it, and the policy has forgotten to ask for anything."""
    sell(load("anybody", ANYBODY), terms(believed(folder_of(folder, [(BROKER, HONEST)]))))


async def moves_a_site_in_its_sheet(folder: Path) -> None:
    """T1: sells a UNI in Kehl that an auditor found in Dresden, 500 km away, and is German in both places."""
    found = AttestedPlace(country="DE", lat_e6=51_050_000, lon_e6=13_740_000)
    known = {LIAR: structs.replace(crossing("DE"), sites={"uni-kehl": found}), BROKER: HONEST}
    said = Interface(
        id="uni-kehl",
        kind=InterfaceKind.UNI,
        name="Kehl",
        city="Kehl",
        country="DE",
        lat_udeg=48_570_000,
        lon_udeg=7_810_000,
        speed_bps=10**10,
        mtu=9000,
        labels="2-9",
    )
    sheet = OperatorSheet(
        entity=LIAR, name="Liar", version=1, currency="EUR", disclosure=Disclosure.MESH, interfaces={said.id: said}
    )
    sites = Sites(lambda: {LIAR: sheet}, known.get)
    sell(shipped_policies()["eu-only"], terms(lambda entity: _by_marks(known.get(entity)), sites.agree))


async def leaves_out_each_fact_in_turn(folder: Path) -> None:
    """T2: whatever a policy asks for, the mark that the liar shows is silent about."""
    full, won = crossing("DE"), []
    for policy in shipped_policies().values():
        for name in _asked(policy, full):
            shown = structs.replace(full, **{name: {} if name == "classes" else None})
            known = {LIAR: shown, BROKER: full}
            asked = terms(lambda entity, known=known: _by_marks(known.get(entity)))  # type: ignore[misc]
            if not verdicts(Rules((policy,), None, NOW), subjects([(LIAR, "any")], asked)):
                won.append((policy.name, name))
    if not won:
        beaten("every policy asks whether there is a fact before it reads it")
    assert ("no-us-control", "subject_to") in won


async def names_no_destination_to_an_operator(folder: Path) -> None:
    """T2: a broker whose path ends where the operator sells nothing sends an empty list of countries."""
    gate = Gatehouse()
    own = selling("own", SAMPLE, "https://surf.example", lambda entity, now: _by_marks(HONEST))
    grants = (gate.cast.grant(),)
    shown = gate.shown(gate.rfq(grants, destinations=()), grants=grants)
    replace(gate.admission, selling=own).rfq(shown, gate.caller, NOW)
    assert gate.caller.entity == THERE


def _by_marks(facts: Attestation | None) -> Attested:
    return Attested(facts, frozenset({FACTS_MARK} if facts else ()), NOW + 60 if facts else 0, ())


def _asked(policy: LoadedPolicy, full: Attestation) -> list[str]:
    """The members of an attestation that a policy reads; all of them are there, and enough."""
    known = terms(lambda entity: _by_marks(full))
    assert not verdicts(Rules((policy,), None, NOW), subjects([(LIAR, "any")], known))
    names = [name for name in full.__struct_fields__ if f"resource has {name}" in policy.text]
    assert len(names) >= 2
    return [*names, "classes"] if "resource has countries" in policy.text else names
