"""From a mandate over the agent's token and the broker's grant to an order at an operator: each hop is narrower."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from msgspec import structs

from federation.broker.peers.token_source import PostedTokens
from federation.broker.peers.tokens import Need, OperatorTokens
from federation.tokens.access import Call, verify_access, verify_call
from federation.tokens.agents import AgentTokens
from federation.tokens.assertion import Chained
from federation.tokens.brokers import BrokerTokens
from federation.tokens.dpop import Nonces, make_proof
from federation.tokens.endpoint import JWT_BEARER, Connection
from federation.tokens.narrows import narrows, slice_for
from federation.tokens.replay import Seen
from federation.trust.jose import doc_hash
from operators.access.admit import Shown
from schemas.access import AccessToken, Confirmation
from schemas.authority import Deed
from schemas.problem import Problem
from schemas.quote import Action
from tests.support.admission import BUYER_THERE, X5T, Gatehouse
from tests.support.authority import AGENT, AUTHORITY, BROKER, BUYER, OPERATOR, RATES
from tests.support.seams import NOW, FixedClock

URL = f"{BROKER}/peerway/v1"
NONCES = Nonces(b"sixteen bytes at least")


class Chain:
    """Both token endpoints, the broker's cache before the operator's, and the operator's admission."""

    def __init__(self) -> None:
        self.house, self.clock = Gatehouse(), FixedClock()
        self.cast = self.house.cast
        self.agents = AgentTokens(self.cast.issuer(BROKER), f"{URL}/token", self.cast.keys_of, Seen(), NONCES)
        self.brokers = BrokerTokens(self.cast.issuer(OPERATOR), self.cast.keys_of, Seen())
        self.posted: list[Mapping[str, str]] = []
        self.bend: Callable[[int, bytes], tuple[int, bytes]] = lambda status, body: (status, body)
        source = PostedTokens(self.cast.issuer(BROKER), lambda entity: f"{entity}/token", self, self.clock)
        self.tokens = OperatorTokens(source, self.clock)

    async def post(self, operator: str, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """A `Poster` that ends at the operator's endpoint."""
        assert (operator, url) == (OPERATOR, f"{OPERATOR}/token")
        self.posted.append(form)
        answer = await self.brokers.answer(form, Connection(entity=BROKER, x5t=X5T), self.clock.now())
        return self.bend(answer.status, msgspec.json.encode(answer.body))

    async def agent(self, mandate: str) -> AccessToken:
        """The agent gets its token and calls the broker with it; what the broker then knows."""
        key, now = self.cast.keys[AGENT], self.clock.now()
        proof = make_proof(key, "POST", f"{URL}/token", now=now, jti=self.cast.jti(), nonce=NONCES.issue(now))
        form = {"grant_type": JWT_BEARER, "assertion": mandate}
        answer = await self.agents.answer(form, Connection(proof=proof), now)
        token = answer.body["access_token"]
        proof = make_proof(key, "POST", f"{URL}/orders", now=now, jti=self.cast.jti(), token=token)
        call = Call(f"DPoP {token}", proof, "POST", f"{URL}/orders")
        return verify_call(call, self.cast.keys_of(BROKER), me=BROKER, now=now)[0]

    def need(self, access: AccessToken, **changes: Any) -> Need:
        """What the broker needs of the operator under the agent's token."""
        authority = structs.replace(slice_for(access.authorization_details[0], OPERATOR, "CHF", RATES), **changes)
        return Need(OPERATOR, authority, Chained(access.mandate_h, access.txn, BUYER_THERE, "agent-there"), X5T)


@pytest.mark.asyncio
async def test_every_hop_is_narrower_and_the_last_one_orders() -> None:
    chain = Chain()
    mandate = chain.cast.mandate()
    agent = await chain.agent(mandate)
    need = chain.need(agent)
    token = await chain.tokens.token(need)
    last = verify_access(token, chain.cast.keys_of(OPERATOR), me=OPERATOR, bound=Confirmation(x5t=X5T), now=NOW)
    hops = (AUTHORITY, agent.authorization_details[0], need.authority, last.authorization_details[0])
    assert [one.depth for one in hops] == [3, 2, 1, 0]
    assert narrows(hops[1], hops[0])
    assert narrows(hops[3], hops[2])
    assert (last.mandate_h, last.txn, last.sub) == (doc_hash(mandate), agent.txn, BUYER_THERE)
    assert BUYER not in token
    house, grant = chain.house, chain.cast.grant()
    rfq = house.rfq((grant,), mandate_h=last.mandate_h)
    house.admission.rfq(Shown(rfq, token, (grant,)), house.caller, NOW)
    held = house.held(rfq)._replace(mandate_h=last.mandate_h)
    house.held_quotes[held.quote_h] = held
    order = house.order(held)
    admitted = house.admission.order(Shown(order, token), house.caller, house.held_quotes.get, NOW)
    assert admitted.access == last
    assert admitted.claims.action is Action.ADD
    assert await chain.tokens.token(need) == token
    assert len(chain.posted) == 1


@pytest.mark.asyncio
async def test_what_the_mandate_does_not_allow_no_hop_adds() -> None:
    chain = Chain()
    quotes = structs.replace(AUTHORITY, actions=(Deed.QUOTE,))
    agent = await chain.agent(chain.cast.mandate(quotes))
    token = await chain.tokens.token(chain.need(agent))
    house = chain.house
    held = house.held(house.rfq(mandate_h=agent.mandate_h))._replace(mandate_h=agent.mandate_h)
    house.held_quotes[held.quote_h] = held
    with pytest.raises(Problem) as found:
        house.admission.order(Shown(house.order(held), token), house.caller, house.held_quotes.get, NOW)
    assert found.value.field == "actions"


@pytest.mark.asyncio
async def test_a_mandate_with_too_little_depth_ends_at_the_broker() -> None:
    chain = Chain()
    agent = await chain.agent(chain.cast.mandate(structs.replace(AUTHORITY, depth=1)))
    with pytest.raises(Problem, match="may not be passed on"):
        chain.need(agent)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, b'{"error":"invalid_grant"}'), "OPERATOR_REFUSED"),
        ((503, b"{}"), "OPERATOR_UNREACHABLE"),
        ((200, b"{}"), "OPERATOR_REFUSED"),
        ((200, b'{"access_token":"x.y.z","token_type":"Bearer","expires_in":120}'), "OPERATOR_REFUSED"),
        ((200, b"[" * 50_000), "OPERATOR_REFUSED"),
        ((200, b"\xff"), "OPERATOR_REFUSED"),
        ((302, b""), "OPERATOR_REFUSED"),
    ],
)
async def test_an_answer_that_is_no_token(answer: tuple[int, bytes], code: str) -> None:
    chain = Chain()
    need = chain.need(await chain.agent(chain.cast.mandate()))
    chain.bend = lambda status, body: answer
    with pytest.raises(Problem) as found:
        await chain.tokens.token(need)
    assert (found.value.code, found.value.extra) == (code, {"operator": OPERATOR})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change", [{"expires_in": 121}, {"expires_in": 0}, {"expires_in": "60"}, {"token_type": "DPoP"}, {"token_type": 1}]
)
async def test_an_answer_that_promises_too_much(change: dict[str, Any]) -> None:
    chain = Chain()
    need = chain.need(await chain.agent(chain.cast.mandate()))
    chain.bend = lambda status, body: (status, msgspec.json.encode(msgspec.json.decode(body) | change))
    with pytest.raises(Problem, match="not what was asked for"):
        await chain.tokens.token(need)


@pytest.mark.asyncio
async def test_a_token_on_another_certificate_is_not_taken() -> None:
    chain = Chain()
    need = chain.need(await chain.agent(chain.cast.mandate()))._replace(x5t="d" * 43)
    with pytest.raises(Problem, match="not what was asked for"):
        await chain.tokens.token(need)
