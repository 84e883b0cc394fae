"""Policies in a search and in a quote: whom they prune, whom Cedar refuses, and what is signed of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec import structs

from federation.broker.market import searching
from federation.broker.market.judging import policy_refusals, rules_of, subjects
from federation.broker.quotes.extension import Extending
from federation.broker.store.texts import names_of
from federation.policy.engine import schema_h
from federation.policy.facts import facts_h
from federation.trust.jose import doc_hash, sha256_b64, verify_jws
from federation.trust.keys import public_keys
from schemas.decision import Decision, Part
from schemas.entity import Jwks
from schemas.jurisdiction import Attestation, ClassFacts, Management
from schemas.problem import Outcome, Problem
from tests.support.loops import run
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, BETA, BROKER, DELTA, GAMMA, SmallMarket, intent, small_market
from tests.unit.federation.broker.test_extension import bought, longer

EU = Attestation(
    legal_domicile=("NL",),
    controlling_parents=("NL",),
    operations=("NL",),
    classes={"any": ClassFacts(countries=("NL", "DE"), sea=False, landings=())},
)
HELD_BY_NOBODY = {"Alpha": 0, "Beta": 0, "Gamma": 0, "Delta": 0}


def crossing(*countries: str) -> Attestation:
    return structs.replace(EU, classes={"any": ClassFacts(countries=countries, sea=False, landings=())})


def world(main: Callable[[SmallMarket], Coroutine[Any, Any, None]]) -> None:
    clock = FixedClock()

    async def whole() -> None:
        async with small_market(clock) as market:
            market.facts |= dict.fromkeys((ALPHA, BETA, GAMMA, DELTA, BROKER), EU)
            await main(market)

    run(whole(), clock.advance)


async def refused(request: Coroutine[Any, Any, object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await request
    return caught.value


def decision_in(market: SmallMarket, document: str) -> Decision:
    keys = public_keys(Jwks((market.quoting.author.key.jwk(),)))
    return verify_jws(document, Decision, keys, now=market.clock.now(), iss=BROKER, aud=BROKER)


def test_a_quote_carries_what_was_decided_about_everybody() -> None:
    async def main(market: SmallMarket) -> None:
        market.facts[GAMMA] = crossing("IT")
        stored = await market.quote(policy="eu-only", data_class="EU-personal")
        assert stored.decision is not None
        decision = decision_in(market, stored.decision.document)
        assert stored.claims.decision_h == doc_hash(stored.decision.document)
        assert market.store.documents["ann", stored.claims.decision_h] == stored.decision.document
        assert (decision.path_root, decision.data_class) == (stored.claims.path_root, "EU-personal")
        assert (decision.countries, decision.sea, decision.at) == (("DE", "IT", "NL"), False, market.clock.now())
        (ref,) = decision.policies
        assert (ref.name, sha256_b64(market.store.texts[ref.policy_h].encode())) == ("eu-only", ref.policy_h)
        assert decision.schema_h == schema_h()
        assert schema_h() in market.store.texts
        assert set(market.store.texts) <= names_of(stored), "nothing that an order rests on is forgotten"
        parts = [(one.part, one.entity) for one in decision.judged]
        path = [ALPHA, BETA, GAMMA]
        assert parts == [
            *((Part.CARRY, name) for name in path),
            (Part.ARRANGE, BROKER),
            *((Part.MANAGE, name) for name in (*path, BROKER)),
        ]
        assert [one.quote_h for one in decision.judged] == [*(held.quote_h for held in stored.held), *[None] * 5]
        again = subjects([(name, "any") for name in path], market.searching.terms)
        assert [one.facts_h for one in decision.judged] == [facts_h(one) for one in again]
        assert [one.countries for one in stored.decision.judged[:3]] == [("DE", "NL"), ("DE", "NL"), ("IT",)]

    world(main)


def test_without_a_policy_the_decision_states_what_is_attested_and_what_is_not() -> None:
    async def main(market: SmallMarket) -> None:
        stored = await market.quote()
        assert stored.decision is not None
        assert (stored.decision.policies, stored.decision.countries) == ((), ("DE", "NL"))
        del market.facts[BETA], market.facts[BROKER]
        stored = await market.quote()
        assert stored.decision is not None
        assert (stored.decision.countries, stored.decision.sea) == (None, None)
        assert decision_in(market, stored.decision.document).policies == ()

    world(main)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (None, "no recognised auditor attests any fact about it"),
        (crossing("DE", "US"), "may cross US"),
        (structs.replace(EU, legal_domicile=("US",)), "legal domicile in US"),
        (structs.replace(EU, operations=None), "where it is run from"),
        (structs.replace(EU, management=Management(legal_domicile=("US",), countries=("NL",))), "domicile in US"),
    ],
)
def test_whom_a_policy_refuses_is_gone_around_and_named_with_the_reason(facts: Attestation | None, why: str) -> None:
    async def main(market: SmallMarket) -> None:
        market.facts.pop(BETA)
        if facts is not None:
            market.facts[BETA] = facts
        answer = await market.searching.search(intent(policy="eu-only"), 3)
        assert [path.segments[1].operator for path in answer.paths] == [DELTA]
        found = [one for one in answer.excluded if one.operator == BETA]
        assert any(why in one.detail for one in found), found
        assert all(one.rule.startswith("eu-only.") for one in found)
        stored = await market.quote(policy="eu-only")
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert not market.beta.asked

    world(main)


def test_what_allowing_a_country_would_bring_is_said() -> None:
    async def main(market: SmallMarket) -> None:
        market.facts |= {BETA: crossing("CH"), DELTA: crossing("US")}
        answer = await market.searching.search(intent(policy="eu-only"), 3)
        assert not answer.found
        assert answer.relaxations[0].change == "allow CH (countries, in policy eu-only)"
        problem = await refused(market.quote(policy="eu-only"))
        assert (problem.code, problem.outcome) == ("NO_FEASIBLE_PATH", Outcome.NONE)
        assert {one["rule"] for one in problem.extra["excluded"]} == {"eu-only.countries"}

    world(main)


@pytest.mark.parametrize("facts", [None, structs.replace(EU, legal_domicile=("US",))])
def test_a_broker_that_the_policy_refuses_says_so_and_asks_nobody(facts: Attestation | None) -> None:
    async def main(market: SmallMarket) -> None:
        market.facts.pop(BROKER)
        if facts is not None:
            market.facts[BROKER] = facts
        for request in (market.quote(policy="eu-only"), market.searching.search(intent(policy="eu-only"), 1)):
            problem = await refused(request)
            assert (problem.code, problem.extra["part"]) == ("POLICY_DENIED", "arrange")
            assert f"does not allow the broker {BROKER}" in problem.detail
        assert not market.alpha.asked
        assert (await market.quote()).decision is not None

    world(main)


def test_what_cedar_alone_refuses_is_gone_around_and_nothing_of_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "policy_refusals", lambda *_: {})

    async def main(market: SmallMarket) -> None:
        market.facts[BETA] = crossing("US")
        stored = await market.quote(policy="eu-only")
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        assert market.held() == {"Alpha": 1, "Beta": 0, "Gamma": 1, "Delta": 1}
        market.facts[DELTA] = crossing("US")
        for operator in market.operators:
            operator.holds.clear()
        problem = await refused(market.quote(policy="eu-only"))
        assert problem.code == "POLICY_DENIED"
        assert "policy eu-only does not allow Beta: may cross US" in problem.detail
        assert {one["operator"] for one in problem.extra["failed"]} == {BETA, DELTA}
        assert market.held() == HELD_BY_NOBODY

    world(main)


def test_what_is_not_known_is_an_error_that_lists_what_is() -> None:
    async def main(market: SmallMarket) -> None:
        problem = await refused(market.searching.search(intent(policy="eu-onyl"), 1))
        assert (problem.code, problem.field) == ("INVALID_ARGUMENT", "policy")
        assert "eu-only" in problem.detail
        problem = await refused(market.quote(data_class="secret"))
        assert (problem.code, problem.field) == ("INVALID_ARGUMENT", "data_class")
        assert "EU-health" in problem.detail

    world(main)


def test_a_data_class_brings_its_policies() -> None:
    async def main(market: SmallMarket) -> None:
        market.facts[BETA] = crossing("US")
        stored = await market.quote(data_class="EU-personal")
        assert stored.decision is not None
        assert (stored.decision.policies, stored.decision.data_class) == (("eu-only",), "EU-personal")
        assert [one.operator for one in stored.held] == [ALPHA, DELTA, GAMMA]
        problem = await refused(market.quote(data_class="EU-health"))
        assert problem.code == "POLICY_DENIED"
        assert "key custody" in problem.detail

    world(main)


def test_whoever_contradicts_an_auditor_about_a_site_passes_no_policy() -> None:
    async def main(market: SmallMarket) -> None:
        market.lying.add(BETA)
        assert [one.operator for one in (await market.quote(policy="eu-only")).held] == [ALPHA, DELTA, GAMMA]
        assert [one.operator for one in (await market.quote()).held] == [ALPHA, BETA, GAMMA]

    world(main)


def test_an_extension_is_decided_again() -> None:
    async def main(market: SmallMarket) -> None:
        extending = Extending(market.quoting)
        before = await bought(market, policy="eu-only")
        stored = await extending.quote(longer(before))
        assert stored.decision is not None
        assert before.decision is not None
        assert stored.decision.policies == ("eu-only",)
        assert stored.claims.decision_h == doc_hash(stored.decision.document) != before.claims.decision_h
        await extending.let_go(stored)
        asked = len(market.alpha.asked)
        market.facts[BETA] = crossing("US")
        problem = await refused(extending.quote(longer(before)))
        assert (problem.code, problem.outcome) == ("POLICY_DENIED", Outcome.NONE)
        assert problem.detail.startswith("policy eu-only does not allow Beta: may cross US")
        assert len(market.alpha.asked) == asked
        assert market.held() == HELD_BY_NOBODY

    world(main)


def test_the_search_is_pruned_by_segments_and_by_who_manages_them() -> None:
    async def main(market: SmallMarket) -> None:
        market.facts |= {
            BETA: structs.replace(EU, management=Management(legal_domicile=("US",), countries=("NL",))),
            DELTA: crossing("US"),
        }
        terms, asked = market.searching.terms, intent(policy="eu-only")
        rules = rules_of(asked, terms, "ann", market.clock.now())
        found = policy_refusals(rules, terms, [(name, "any") for name in (ALPHA, BETA, DELTA)])
        assert set(found) == {(BETA, "any"), (DELTA, "any")}
        assert policy_refusals(rules_of(intent(), terms, "ann", 0), terms, [(BETA, "any")]) == {}

    world(main)
