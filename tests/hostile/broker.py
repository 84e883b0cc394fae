"""A hostile broker: another's quotes, another's tokens, another order than was quoted, quotes kept from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
from msgspec import structs

from federation.broker.peers.verify import verified_quote
from federation.node.audit import Audit
from federation.tokens.assertion import Chained, client_assertion, delegation_grant
from federation.tokens.brokers import BrokerTokens
from federation.tokens.endpoint import CLIENT_ASSERTION, JWT_BEARER, Connection
from federation.tokens.narrows import passed_on, slice_for
from federation.tokens.replay import Seen
from federation.trust.certificates import thumbprint
from federation.trust.jose import sign_jws
from operators.access.admit import Caller, Shown
from schemas.price import Money
from schemas.problem import Problem
from schemas.quote import Rfq
from schemas.segment import SEGMENT_URN, moment
from tests.hostile.control import beaten
from tests.support.admission import BUYER_THERE, SEGMENT, X5T, Gatehouse, operator_authority
from tests.support.authority import AUTHORITY, BROKER, OPERATOR, RATES, STRANGER
from tests.support.fake_operators import FakeOperator
from tests.support.operator_world import MANDATE_H, PLAIN_KEY, OperatorWorld, drawn, plan
from tests.support.seams import NOW, CountingEntropy, FixedClock

OTHER_X5T = thumbprint(b"another certificate")
CHAINED = Chained("m" * 43, "txn-1", BUYER_THERE, "agent-there")


async def orders_on_a_quote_for_another_broker(folder: Path) -> None:
    """T3: broker 2 got hold of a quote that was made for broker 1, and orders on it."""
    house = Gatehouse()
    house.believed.add(STRANGER)
    held = house.held(house.rfq())
    order = house.order(held, signer=STRANGER, iss=STRANGER)
    token = house.token(client=STRANGER)
    house.admission.order(Shown(order, token), Caller(STRANGER, X5T), house.held_quotes.get, NOW)


async def passes_an_old_quote_off_as_the_answer(folder: Path) -> None:
    """T3: whoever stands between shows a quote that answers another question."""
    operator = FakeOperator(OPERATOR, "SURF", FixedClock()).uni("a", "Utrecht").uni("z", "Delft").offer("a", "z")
    rfqs = []
    for jti in ("first-question-of-two", "second-question-of-two"):
        segment = structs.replace(SEGMENT, a=structs.replace(SEGMENT.a, interface="a", label=None))
        segment = structs.replace(segment, z=structs.replace(SEGMENT.z, interface="z", label=None), route_class="any")
        rfqs.append(
            Rfq(iss=BROKER, sub=BUYER_THERE, aud=OPERATOR, iat=NOW, exp=NOW + 60, jti=jti, segment=segment, hold_s=30)
        )
    tokens = [sign_jws(operator.key, rfq) for rfq in rfqs]
    old = await operator.quote(tokens[0], rfqs[0])
    keys = {operator.key.kid: operator.key.key.public_key()}
    verified_quote(old.quote_jws, tokens[1], rfqs[1], keys=keys, now=NOW)


async def orders_for_another_buyer_than_the_token_is_for(folder: Path) -> None:
    """T4: the confused deputy: the mandate of one buyer pays for what another one wants."""
    house = Gatehouse()
    grant = house.cast.grant()
    rfq = house.rfq((grant,), sub="another-buyer")
    house.admission.rfq(house.shown(rfq, grants=(grant,)), house.caller, NOW)


async def asks_for_more_than_its_token_allows(folder: Path) -> None:
    """T4: ten times the bandwidth that the agent's mandate reaches to."""
    house = Gatehouse()
    grant = house.cast.grant()
    rfq = house.rfq((grant,))
    token = house.token(operator_authority(max_bandwidth_bps=10**9))
    house.admission.rfq(Shown(rfq, token, (grant,)), house.caller, NOW)


async def connects_at_a_uni_that_is_not_its_buyers(folder: Path) -> None:
    """T4: a segment that ends at somebody else's premises, without that owner's grant."""
    house = Gatehouse()
    house.admission.rfq(house.shown(house.rfq()), house.caller, NOW)


async def leaves_its_documents_out(folder: Path) -> None:
    """T4: a member broker asks as a plain buyer would: no rfq, so no token, no mandate and no grant."""
    async with OperatorWorld(folder).run() as world:
        answer = await _plain_quote(world.broker.session, f"{world.origin}/mefApi/sonata", {})
    _sold(*answer)


async def connects_without_documents_at_a_uni_of_another(folder: Path) -> None:
    """T4: a plain buyer with a key of the operator's, at somebody else's premises."""
    network = drawn()
    unis = tuple(structs.replace(one, owner="https://owner.example") for one in network.unis)
    async with OperatorWorld(folder, network=structs.replace(network, unis=unis)).run() as world:
        answer = await _plain_quote(world.session, world.base, {"Authorization": f"Bearer {PLAIN_KEY}"})
    _sold(*answer)


async def _plain_quote(session: aiohttp.ClientSession, base: str, headers: dict[str, str]) -> tuple[int, Any]:
    """A firm quote, asked for in plain Sonata."""
    ends = {"a": {"interface": "uni-a"}, "z": {"interface": "uni-b"}, "bandwidthBps": 10**10}
    times = {name: f"{moment(at):%Y-%m-%dT%H:%M:%SZ}" for name, at in (("start", NOW), ("end", NOW + 3600))}
    product = {"productOffering": {"id": "segment"}, "productConfiguration": {"@type": SEGMENT_URN, **ends, **times}}
    item = {"id": "1", "action": "add", "product": product}
    body = {"buyerRequestedQuoteLevel": "firm", "instantSyncQuote": True, "quoteItem": [item]}
    async with session.post(f"{base}/quoteManagement/v10/quote", json=body, headers=headers) as response:
        return response.status, await response.json()


def _sold(status: int, answer: Any) -> None:
    if status == 403:
        beaten(str(answer))
    assert (status, answer["state"]) == (201, "approved.orderable"), answer


async def uses_a_token_over_another_certificate(folder: Path) -> None:
    """T5: a member stole another broker's token, and its protocol key with it, but not its TLS leaf."""
    house = Gatehouse()
    grant = house.cast.grant()
    rfq = house.rfq((grant,))
    house.admission.rfq(house.shown(rfq, grants=(grant,)), Caller(BROKER, OTHER_X5T), NOW)


async def shows_a_delegation_twice(folder: Path) -> None:
    """T7: a grant for a token, word for word, again."""
    house = Gatehouse()
    tokens = BrokerTokens(house.cast.issuer(OPERATOR), house.cast.keys_of, Seen())
    authority = slice_for(passed_on(AUTHORITY), OPERATOR, "CHF", RATES)
    grant = delegation_grant(house.cast.issuer(BROKER), OPERATOR, authority, CHAINED, now=NOW)
    form = {"grant_type": JWT_BEARER, "assertion": grant}
    answers = [await tokens.answer(form, Connection(entity=BROKER, x5t=X5T), NOW) for _ in range(2)]
    assert answers[0].status == 200
    if answers[1].status != 200:
        beaten(answers[1].reason or "")


async def sends_an_rfq_twice(folder: Path) -> None:
    """T7: somebody repeats a broker's rfq at the operator's real daemon, so that it holds twice as much."""
    async with OperatorWorld(folder).run() as world:
        rfq = Rfq(mandate_h=MANDATE_H, **world.broker.party(), segment=plan(z="uni-b", gbps=40))
        token = sign_jws(world.broker.key, rfq)
        first, second = [await world.broker.sonata.quote(token, rfq) for _ in range(2)]
        held = len(world.running.desk.shop.inventory.claims())
    if held == 1:
        assert first.id == second.id
        beaten("one hold, and the same answer")


async def orders_at_another_price_than_quoted(folder: Path) -> None:
    """T8: the quote that is held, and the price of a cheaper one."""
    house = Gatehouse()
    order = house.order(house.held(house.rfq()), amount=Money("CHF", 1))
    house.admission.order(house.shown(order), house.caller, house.held_quotes.get, NOW)


async def orders_on_a_quote_that_was_never_held(folder: Path) -> None:
    """T8: between hold and order the quote is swapped for one of the broker's making."""
    house = Gatehouse()
    mine = house.held(house.rfq())
    del house.held_quotes[mine.quote_h]
    house.held_quotes["h" * 43] = mine
    order = house.order(mine)
    house.admission.order(house.shown(order), house.caller, house.held_quotes.get, NOW)


async def keeps_an_interface_from_everybody(folder: Path) -> None:
    """T19: firm quotes only, never ordered, each for another invented buyer."""
    async with OperatorWorld(folder, holds="share_per_broker_ppm = 500_000").run() as world:
        for number in range(20):
            await world.broker.ask(plan(z="uni-b", gbps=5), sub=f"invented-{number}", hold_s=60)
        honest = await world.brokers[1].ask(plan(z="uni-b", gbps=50))
    if honest.answer.refusal is None:
        beaten("another broker's buyer gets its half of the interface")
    assert honest.answer.refusal.code == "CAPACITY_CHANGED"


async def brings_an_assertion_that_was_made_for_another(folder: Path) -> None:
    """T12: an operator tricked a broker into asserting itself there, and hands that on to another operator."""
    house = Gatehouse()
    house.cast.known.add(STRANGER)
    tokens = BrokerTokens(house.cast.issuer(OPERATOR), house.cast.keys_of, Seen())
    broker = house.cast.issuer(BROKER)
    authority = slice_for(passed_on(AUTHORITY), OPERATOR, "CHF", RATES)
    form = {
        "grant_type": JWT_BEARER,
        "assertion": delegation_grant(broker, OPERATOR, authority, CHAINED, now=NOW),
        "client_assertion_type": CLIENT_ASSERTION,
        "client_assertion": client_assertion(broker, "https://evil.example", now=NOW),
    }
    answer = await tokens.answer(form, Connection(x5t=OTHER_X5T), NOW)
    if answer.status != 200:
        beaten(answer.reason or "")


async def tells_which_check_failed_by_the_answer(folder: Path) -> None:
    """The oracle: two requests that fail for two reasons, whose refusals are compared."""
    reasons = ("the signature does not verify", "kid names no key of the signer")
    with Audit(folder, FixedClock(), CountingEntropy()) as audit:
        seen = [audit.refused(Problem("DOCUMENT_INVALID", why), caller=BROKER, act="POST /x") for why in reasons]
    told = [{key: value for key, value in one.as_dict().items() if key != "ref"} for one in seen]
    if told[0] == told[1]:
        beaten("both refusals read alike")
