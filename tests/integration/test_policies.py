"""Policies through running daemons: shipped, of the broker's owner, of a buyer; mandates for one class of data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.market.sites import floor_us
from federation.client.broker import BrokerClient
from federation.client.lease import active, released
from federation.node.seams import SystemClock
from federation.policy.catalogue import shipped_policies
from federation.trust.jose import doc_hash, sign_jws, unverified
from schemas.decision import Decision, Part, Policy
from schemas.intent import Intent
from schemas.jurisdiction import Attestation, AttestedPlace, ClassFacts
from schemas.lease import State
from schemas.order import Order, Receipt
from schemas.problem import Outcome
from schemas.quote import PathQuote
from schemas.request import Extension, Measurement
from tests.support.agents import CAROL, Principal, refused, wide
from tests.support.federation import AUDITOR_ENTITY, BROKER_ENTITY, BrokerPlan, Plan, TinyFederation, tiny_federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALONE = Plan("north", (("kiel", "Kiel", 54.3, 10.1, "DE"), ("ulm", "Ulm", 48.4, 10.0, "DE")), {}, ("kiel", "ulm"))
KIEL = AttestedPlace(country="DE", lat_e6=54_300_000, lon_e6=10_100_000)
ULM = AttestedPlace(country="DE", lat_e6=48_400_000, lon_e6=10_000_000)
INTENT = Intent(a="Kiel@north", z="Ulm@north", bandwidth_bps=10**8, duration_s=3600)
EU = Attestation(
    legal_domicile=("DE",),
    controlling_parents=("NL",),
    operations=("DE",),
    classes={"any": ClassFacts(countries=("DE",), sea=False, landings=())},
)
ONLY = '@id("{name}.v1") permit (principal, action, resource) when {{ resource has legal_domicile && {what} }};\n'
HOUSE = ONLY.format(name="house", what='["DE", "FR"].containsAll(resource.legal_domicile)')
NOBODY = ONLY.format(name="nobody", what='["IS"].containsAll(resource.legal_domicile)')
OWN = ONLY.format(name="carols", what='["DE"].containsAll(resource.legal_domicile)')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[TinyFederation, Principal]]:
    carol, folder = Principal(), tmp_path_factory.mktemp("market")
    async with tiny_federation(folder, (ALONE,), desk=BrokerPlan(hold_s=60), start=False) as made:
        for entity in (ALONE.entity, BROKER_ENTITY):
            made.domain.attest(AUDITOR_ENTITY, entity, EU)
        made.domain.write()
        configure(folder / "broker", carol)
        await made.start("north")
        await made.start("broker")
        yield made, carol


def configure(broker: Path, carol: Principal) -> None:
    """A folder of policies, two of the owner's and one that Carol signed; and a class of data of the owner's."""
    now = SystemClock().now()
    (broker / "policies").mkdir()
    (broker / "policies" / "house.cedar").write_text(HOUSE)
    (broker / "policies" / "nobody.cedar").write_text(NOBODY)
    signed = Policy(iss=CAROL, iat=now, exp=now + 86_400, name="carols", cedar=OWN)
    (broker / "policies" / "carols.jwt").write_text(sign_jws(carol.key, signed))
    with (broker / "config.toml").open("a") as config:
        config.write('[policies]\nfolder = "policies"\n[policies.data_classes]\nledger = ["house", "eu-only"]\n')
    carol.introduce(broker)


async def test_what_may_be_named_is_listed_with_its_text_to_each_its_own(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, carol = market
    async with made.client() as alice, BrokerClient(made.broker, carol.itself()) as buyer:
        for who, own in ((alice, set()), (buyer, {"carols"})):
            view = await who.policies()
            texts = {one.name: one.text for one in view.policies}
            assert set(texts) == {*shipped_policies(), "house", "nobody", *own}
            assert texts["house"] == HOUSE
            assert {one.name for one in view.policies if one.own} == own
            assert view.data_classes["ledger"] == ("house", "eu-only")
        problem = await refused(alice.quote(structs.replace(INTENT, policy="carols")))
        assert (problem.code, problem.field) == ("INVALID_ARGUMENT", "policy")
        assert "carols" not in problem.detail.partition("known are")[2]


async def test_a_purchase_names_its_decision_at_every_step(market: tuple[TinyFederation, Principal]) -> None:
    made, _ = market
    async with made.client() as alice:
        quote = await alice.quote(structs.replace(INTENT, data_class="ledger", policy="eu-only"))
        assert quote.decision is not None
        assert (quote.decision.policies, quote.decision.data_class) == (("house", "eu-only"), "ledger")
        assert (quote.decision.countries, quote.decision.sea) == (("DE",), False)
        decision = unverified(quote.decision.document, Decision)
        assert [one.part for one in decision.judged] == [Part.CARRY, Part.ARRANGE, Part.MANAGE, Part.MANAGE]
        assert all(one.marks for one in decision.judged)
        decision_h = doc_hash(quote.decision.document)
        assert unverified(quote.document, PathQuote).decision_h == decision_h
        assert await alice.document(decision_h) == quote.decision.document

        order = await active(alice, await alice.order(quote.id))
        receipt = unverified(await alice.document(order.segments[0].receipt_h or ""), Receipt)
        assert unverified(await alice.document(receipt.order_h), Order).decision_h == decision_h
        longer = await alice.extend(order.id, Extension(by_s=60))
        assert (await released(alice, longer)).state is State.RELEASED


async def test_a_measurement_contradicts_or_shows_nothing(market: tuple[TinyFederation, Principal]) -> None:
    made, _ = market
    async with made.client() as alice, made.client("bob") as bob:
        quote = await alice.quote(INTENT)
        promised = quote.path.promise.latency_us
        ordered = await alice.order(quote.id)
        order = await active(alice, ordered)
        floor = floor_us(KIEL, ULM)
        fits = await alice.measure(order.id, Measurement(latency_us=promised))
        assert (fits.promised_us, fits.floor_us, fits.contradicts) == (promised, floor, ())
        slow = await alice.measure(order.id, Measurement(latency_us=promised + 1))
        assert [why.partition(":")[0] for why in slow.contradicts] == ["the promise"]
        fast = await alice.measure(order.id, Measurement(latency_us=floor - 1), "m")
        assert fast == await alice.measure(order.id, Measurement(latency_us=floor - 1), "m"), "once"
        (why,) = fast.contradicts
        assert why.endswith(
            "between Kiel (as declared) and Ulm (as declared), so one of them is elsewhere, or this was not measured"
        )
        kept = await alice.measurements(order.id)
        assert sorted(one.id for one in kept) == sorted(one.id for one in (fits, slow, fast))
        for request in (bob.measure(order.id, Measurement(latency_us=1)), bob.measurements(order.id)):
            assert (await refused(request)).code == "NOT_FOUND"
        await released(alice, order)
        late = await refused(alice.measure(order.id, Measurement(latency_us=1)))
        assert (late.code, late.outcome) == ("INCOMPATIBLE_STATE", Outcome.NONE)
        assert len(await alice.measurements(order.id)) == 3


async def test_a_policy_that_nobody_passes_sells_nothing_and_says_who_and_why(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, _ = market
    async with made.client() as alice:
        problem = await refused(alice.quote(structs.replace(INTENT, policy="nobody")))
        assert (problem.code, problem.outcome, problem.extra["part"]) == ("POLICY_DENIED", Outcome.NONE, "arrange")
        assert "policy nobody does not allow the broker" in problem.detail
        assert "legal domicile" in problem.detail
        assert await made.products() == {"north": {}}


async def test_a_buyers_own_policy_decides_for_it_and_is_filed(market: tuple[TinyFederation, Principal]) -> None:
    made, carol = market
    async with BrokerClient(made.broker, carol.itself()) as buyer:
        quote = await buyer.quote(structs.replace(INTENT, policy="carols"))
        assert quote.decision is not None
        assert quote.decision.policies == ("carols",)
        signed = (made.folder / "broker" / "policies" / "carols.jwt").read_text()
        assert await buyer.document(doc_hash(signed)) == signed
        await buyer.decline(quote.id)


async def test_a_mandate_for_a_class_of_data_is_used_for_that_class_alone(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, carol = market
    agent = carol.agent(wide(data_class="ledger"))
    async with BrokerClient(made.broker, agent) as one:
        for other in (INTENT, structs.replace(INTENT, data_class="EU-personal")):
            for request in (one.quote(other), one.search(other)):
                problem = await refused(request)
                assert (problem.code, problem.field) == ("POLICY_DENIED", "mandate.data_class")
                assert "of class ledger alone" in problem.detail
        quote = await one.quote(structs.replace(INTENT, data_class="ledger"))
        order = await active(one, await one.order(quote.id))
        assert order.state is State.ACTIVE
        assert (await released(one, order)).state is State.RELEASED


async def test_a_site_that_an_auditor_found_elsewhere_bars_its_operator_and_is_recorded(
    market: tuple[TinyFederation, Principal],
) -> None:
    made, _ = market
    elsewhere = AttestedPlace(country="GB", lat_e6=51_500_000, lon_e6=-100_000)
    made.domain.attest(AUDITOR_ENTITY, ALONE.entity, structs.replace(EU, sites={"uni-ulm": elsewhere}))
    made.kill("broker")
    await made.start("broker")
    async with made.client() as alice:
        problem = await refused(alice.quote(structs.replace(INTENT, policy="eu-only")))
        assert (problem.code, problem.outcome) == ("NO_FEASIBLE_PATH", Outcome.NONE)
        assert [one["rule"] for one in problem.extra["excluded"]] == ["eu-only.sites_agree"]
        assert (await alice.search(INTENT)).found, "without a policy nothing is promised about places"
    audit = (made.folder / "broker" / "data" / "audit.jsonl").read_text()
    assert "uni-ulm is said to be in DE, and an auditor found it in GB" in audit
