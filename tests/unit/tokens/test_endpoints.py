"""Token endpoints: what a mandate or a broker's grant is good for, and every way in which it is not."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from federation.broker.store.sqlite import migrations
from federation.node.sqlite import Database
from federation.tokens import http
from federation.tokens.access import Call, verify_access, verify_call
from federation.tokens.agent_gate import AgentGate
from federation.tokens.agents import AgentTokens
from federation.tokens.assertion import Chained, client_assertion, delegation_grant
from federation.tokens.brokers import BrokerTokens
from federation.tokens.dpop import Nonces, make_proof
from federation.tokens.endpoint import CLIENT_ASSERTION, JWT_BEARER, Connection, TokenAnswer
from federation.tokens.mandate import Given, verify_mandate
from federation.tokens.narrows import narrows, passed_on, slice_for
from federation.tokens.refusal import TokenRefused
from federation.tokens.replay import Replay, Seen
from federation.tokens.sqlite import TABLE, ProofRows, ReplayRows
from federation.trust.jose import doc_hash
from operators.store.tables import MIGRATIONS
from schemas.access import AccessToken, Confirmation
from schemas.authority import Authority, Deed
from schemas.problem import Problem
from tests.support.authority import AGENT, AUTHORITY, BROKER, BUYER, OPERATOR, RATES, STRANGER, Cast
from tests.support.seams import NOW, FixedClock

URL = f"{BROKER}/peerway/v1/token"
NONCES = Nonces(b"sixteen bytes at least")
X5T = "c" * 43


class Desk:
    """One broker's and one operator's endpoint, and everybody's keys."""

    def __init__(self) -> None:
        self.cast = Cast()
        self.seen = Seen()
        self.agents = AgentTokens(self.cast.issuer(BROKER), URL, self.cast.keys_of, self.seen, NONCES)
        self.brokers = BrokerTokens(self.cast.issuer(OPERATOR), self.cast.keys_of, self.seen)

    def proof(self, key: str = AGENT, now: int = NOW, **changes: Any) -> str:
        at = {"method": "POST", "url": URL, "nonce": NONCES.issue(now), "jti": self.cast.jti()} | changes
        return make_proof(self.cast.keys[key], at.pop("method"), at.pop("url"), now=now, **at)

    async def ask(self, mandate: str, proof: str | None, now: int = NOW, **form: str) -> TokenAnswer:
        return await self.agents.answer(
            {"grant_type": JWT_BEARER, "assertion": mandate} | form, Connection(proof=proof), now
        )

    def slice_(self, **changes: Any) -> Authority:
        return structs.replace(slice_for(passed_on(AUTHORITY), OPERATOR, "CHF", RATES), **changes)

    def grant(self, authority: Authority | None = None, signer: str = BROKER, aud: str = OPERATOR) -> str:
        chained = Chained("h" * 43, "txn-1", "buyer-pseudonym", "agent-pseudonym")
        return delegation_grant(self.cast.issuer(signer), aud, authority or self.slice_(), chained, now=NOW)

    async def chain(self, grant: str, now: int = NOW, entity: str | None = BROKER, **form: str) -> TokenAnswer:
        connection = Connection(entity=entity, x5t=X5T)
        return await self.brokers.answer({"grant_type": JWT_BEARER, "assertion": grant} | form, connection, now)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- an agent at its broker ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_agent_gets_a_token_for_its_mandate_and_key(desk: Desk) -> None:
    mandate = desk.cast.mandate()
    answer = await desk.ask(mandate, desk.proof())
    assert (answer.status, answer.body["token_type"], answer.body["expires_in"]) == (200, "DPoP", 300)
    token = answer.body["access_token"]
    url = f"{BROKER}/peerway/v1/quotes"
    proof = desk.proof(url=url, token=token)
    call = Call(f"DPoP {token}", proof, "POST", url)
    claims, proven = verify_call(call, desk.cast.keys_of(BROKER), me=BROKER, now=NOW, nonces=NONCES)
    assert (claims.sub, claims.client_id, claims.mandate_h) == (BUYER, AGENT, doc_hash(mandate))
    assert claims.cnf == Confirmation(jkt=proven.jkt)
    assert narrows(claims.authorization_details[0], AUTHORITY)
    assert answer.body["authorization_details"] == [msgspec.to_builtins(claims.authorization_details[0])]


@pytest.mark.asyncio
async def test_mandate_and_token_are_filed_before_the_agent_has_it(desk: Desk) -> None:
    filed: list[tuple[str, str, str]] = []

    async def keep(given: Given, mandate: str, token: str) -> None:
        filed.append((given.hash, mandate, token))

    desk.agents = AgentTokens(desk.cast.issuer(BROKER), URL, desk.cast.keys_of, desk.seen, NONCES, keep=keep)
    mandate = desk.cast.mandate()
    answer = await desk.ask(mandate, desk.proof())
    assert filed == [(doc_hash(mandate), mandate, answer.body["access_token"])]
    assert (await desk.ask(mandate, desk.proof(BUYER))).status == 400
    assert len(filed) == 1, "what is refused is not filed"


@pytest.mark.asyncio
async def test_an_agent_may_ask_for_less_and_never_for_more(desk: Desk) -> None:
    less = structs.replace(AUTHORITY, actions=(Deed.QUOTE,), depth=1)
    answer = await desk.ask(desk.cast.mandate(), desk.proof(), authorization_details=details(less))
    assert answer.body["authorization_details"][0]["actions"] == ("quote",)
    for more in (AUTHORITY, structs.replace(less, max_bandwidth_bps=10**12)):
        answer = await desk.ask(desk.cast.mandate(), desk.proof(), authorization_details=details(more))
        assert answer.body == {"error": "invalid_authorization_details"}
    for text in ("", "{}", "[]", "[{}]", "[" * 9000, details(less)[:-1] + ",{}]", "x" * 20_000):
        answer = await desk.ask(desk.cast.mandate(), desk.proof(), authorization_details=text)
        assert answer.body == {"error": "invalid_authorization_details"}


def details(authority: Authority) -> str:
    return json.dumps([msgspec.to_builtins(authority)])


@pytest.mark.asyncio
async def test_a_token_ends_with_its_mandate_and_outlives_the_time_to_spend(desk: Desk) -> None:
    answer = await desk.ask(desk.cast.mandate(exp=NOW + 100), desk.proof())
    assert answer.body["expires_in"] == 100
    over = structs.replace(AUTHORITY, spend=structs.replace(AUTHORITY.spend, until=NOW))
    answer = await desk.ask(desk.cast.mandate(over), desk.proof())
    assert answer.body["expires_in"] == 300


BAD_MANDATES: dict[str, Callable[[Cast], str]] = {
    "for another broker": lambda c: c.mandate(aud="https://other.example"),
    "of a buyer that is not known": lambda c: c.mandate(iss=STRANGER, signer=STRANGER),
    "signed by another": lambda c: c.mandate(signer=STRANGER),
    "signed by the agent": lambda c: c.mandate(signer=AGENT),
    "expired": lambda c: c.mandate(iat=NOW - 100, exp=NOW),
    "of tomorrow": lambda c: c.mandate(iat=NOW + 31),
    "longer than a year": lambda c: c.mandate(exp=NOW + 366 * 86400 + 1),
    "of another kind": lambda c: c.grant(),
    "no document": lambda c: "x.y.z",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("which", sorted(BAD_MANDATES))
async def test_a_mandate_that_is_good_for_nothing_here(desk: Desk, which: str) -> None:
    answer = await desk.ask(BAD_MANDATES[which](desk.cast), desk.proof())
    assert (answer.status, answer.body) == (400, {"error": "invalid_grant"})
    assert answer.reason
    with pytest.raises(Problem):
        verify_mandate(BAD_MANDATES[which](desk.cast), desk.cast.keys_of, broker=BROKER, now=NOW)


@pytest.mark.asyncio
async def test_a_mandate_is_worth_nothing_without_its_key(desk: Desk) -> None:
    answer = await desk.ask(desk.cast.mandate(), desk.proof(STRANGER))
    assert answer.body == {"error": "invalid_grant"}
    answer = await desk.ask(desk.cast.mandate(), None)
    assert answer.body == {"error": "invalid_dpop_proof"}


@pytest.mark.asyncio
async def test_a_mandate_that_may_not_be_passed_on_gives_no_token(desk: Desk) -> None:
    answer = await desk.ask(desk.cast.mandate(structs.replace(AUTHORITY, depth=0)), desk.proof())
    assert answer.body == {"error": "invalid_authorization_details"}


@pytest.mark.asyncio
async def test_a_proof_counts_once_and_a_refusal_brings_a_nonce(desk: Desk) -> None:
    proof = desk.proof()
    answers = await asyncio.gather(*(desk.ask(desk.cast.mandate(), proof) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 7
    first = await desk.ask(desk.cast.mandate(), desk.proof(nonce=None))
    assert first.body == {"error": "use_dpop_nonce"}
    second = await desk.ask(desk.cast.mandate(), desk.proof(nonce=first.headers["DPoP-Nonce"]))
    assert second.status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": JWT_BEARER}, "invalid_request"),
        ({"grant_type": "client_credentials", "assertion": "x"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
    ],
)
async def test_a_form_that_asks_for_something_else(desk: Desk, form: dict[str, str], error: str) -> None:
    for endpoint in (desk.agents, desk.brokers):
        answer = await endpoint.answer(form, Connection(desk.proof(), BROKER, X5T), NOW)
        assert (answer.status, answer.body) == (400, {"error": error})


@pytest.mark.asyncio
async def test_a_token_is_its_keys_alone(desk: Desk) -> None:
    token = (await desk.ask(desk.cast.mandate(), desk.proof())).body["access_token"]
    url = f"{BROKER}/peerway/v1/orders"
    keys = desk.cast.keys_of(BROKER)
    good = Call(f"DPoP {token}", desk.proof(url=url, token=token), "POST", url)
    verify_call(good, keys, me=BROKER, now=NOW)
    bad = {
        "another key": good._replace(proof=desk.proof(STRANGER, url=url, token=token)),
        "no proof": good._replace(proof=None),
        "no token": good._replace(authorization=None),
        "as a bearer token": good._replace(authorization=f"Bearer {token}"),
        "another request": good._replace(method="GET"),
        "another token": good._replace(authorization=f"DPoP {token}x"),
    }
    for why, call in bad.items():
        with pytest.raises(TokenRefused):
            pytest.fail(f"{why}: {verify_call(call, keys, me=BROKER, now=NOW)}")
    later = good._replace(proof=desk.proof(url=url, token=token, now=NOW + 300))
    with pytest.raises(TokenRefused) as found:
        verify_call(later, keys, me=BROKER, now=NOW + 300)
    assert found.value.reason == "expired"
    with pytest.raises(TokenRefused) as found:
        verify_call(good, keys, me=OPERATOR, now=NOW)
    assert "iss" in found.value.reason
    assert found.value.detail == bland(found.value)


def bland(refusal: TokenRefused) -> str:
    """What every caller is told: the same sentence whatever failed."""
    return TokenRefused(refusal.error, "another reason").detail


@pytest.mark.asyncio
async def test_the_gate_takes_each_proof_once_and_wants_a_nonce_for_writes(desk: Desk) -> None:
    token = (await desk.ask(desk.cast.mandate(), desk.proof())).body["access_token"]
    gate = AgentGate(BROKER, desk.cast.keys_of(BROKER), desk.seen, NONCES)
    url = f"{BROKER}/peerway/v1/orders"

    def call(method: str, **changes: Any) -> Call:
        return Call(f"DPoP {token}", desk.proof(url=url, token=token, method=method, **changes), method, url)

    read = call("GET", nonce=None)
    assert (await gate.who(read, NOW)).client_id == AGENT
    with pytest.raises(TokenRefused) as found:
        await gate.who(read, NOW)
    assert (found.value.error, found.value.reason) == ("invalid_dpop_proof", "the proof was used before")
    for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
        with pytest.raises(TokenRefused) as found:
            await gate.who(call(method, nonce=None), NOW)
        headers = gate.challenge(found.value, NOW)
        assert headers["WWW-Authenticate"] == 'DPoP error="use_dpop_nonce", algs="ES256"'
        assert (await gate.who(call(method, nonce=headers["DPoP-Nonce"]), NOW)).sub == BUYER


# --- a broker at an operator ---------------------------------------------------------------------------------


def read(desk: Desk, answer: TokenAnswer, x5t: str = X5T) -> AccessToken:
    token = answer.body["access_token"]
    return verify_access(token, desk.cast.keys_of(OPERATOR), me=OPERATOR, bound=Confirmation(x5t=x5t), now=NOW)


@pytest.mark.asyncio
async def test_a_broker_gets_a_token_bound_to_its_certificate(desk: Desk) -> None:
    answer = await desk.chain(desk.grant())
    assert (answer.status, answer.body["token_type"], answer.body["expires_in"]) == (200, "Bearer", 120)
    claims = read(desk, answer)
    assert (claims.client_id, claims.sub, claims.txn) == (BROKER, "buyer-pseudonym", "txn-1")
    assert claims.act is not None
    assert claims.act.act is not None
    assert (claims.act.sub, claims.act.act.sub) == (BROKER, "agent-pseudonym")
    assert narrows(claims.authorization_details[0], desk.slice_())
    with pytest.raises(TokenRefused) as found:
        read(desk, answer, "d" * 43)
    assert (found.value.error, found.value.reason) == ("invalid_token", "the token is bound to another key")


@pytest.mark.asyncio
async def test_a_broker_may_also_assert_itself(desk: Desk) -> None:
    for entity in (None, BROKER):
        asserted = client_assertion(desk.cast.issuer(BROKER), OPERATOR, now=NOW)
        form = {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": asserted, "client_id": BROKER}
        assert (await desk.chain(desk.grant(), entity=entity, **form)).status == 200
        again = await desk.chain(desk.grant(), entity=entity, **form)
        assert (again.status, again.body) == (401, {"error": "invalid_client"})


@pytest.mark.asyncio
async def test_a_client_that_is_not_who_it_says(desk: Desk) -> None:
    me = desk.cast.issuer(BROKER)
    forms: dict[str, tuple[str | None, dict[str, str]]] = {
        "nobody": (None, {}),
        "another client_id": (BROKER, {"client_id": BUYER}),
        "an assertion for the endpoint": (
            None, {"client_assertion": client_assertion(me, f"{OPERATOR}/token", now=NOW)}
        ),
        "an assertion for another": (None, {"client_assertion": client_assertion(me, BUYER, now=NOW)}),
        "an old assertion": (None, {"client_assertion": client_assertion(me, OPERATOR, now=NOW - 60)}),
        "an assertion of a stranger": (
            None, {"client_assertion": client_assertion(desk.cast.issuer(STRANGER), OPERATOR, now=NOW)}
        ),
        "an assertion of another": (
            BROKER, {"client_assertion": client_assertion(desk.cast.issuer(BUYER), OPERATOR, now=NOW)}
        ),
    }  # fmt: skip
    for why, (entity, form) in forms.items():
        answer = await desk.chain(
            desk.grant(), entity=entity, **({"client_assertion_type": CLIENT_ASSERTION} | form if form else {})
        )
        assert (answer.status, answer.body) == (401, {"error": "invalid_client"}), why
    untyped = {"client_assertion": client_assertion(me, OPERATOR, now=NOW)}
    assert (await desk.chain(desk.grant(), entity=None, **untyped)).body == {"error": "invalid_client"}
    bare = await desk.brokers.answer({"grant_type": JWT_BEARER, "assertion": desk.grant()}, Connection(), NOW)
    assert bare.body == {"error": "invalid_client"}


@pytest.mark.asyncio
async def test_a_grant_that_is_good_for_nothing_here(desk: Desk) -> None:
    bad = {
        "for another operator": (desk.grant(aud="https://kpn.example"), NOW, "invalid_grant"),
        "of another broker": (desk.grant(signer=BUYER), NOW, "invalid_grant"),
        "expired": (desk.grant(), NOW + 60, "invalid_grant"),
        "a mandate": (desk.cast.mandate(), NOW, "invalid_grant"),
        "for every operator": (desk.grant(desk.slice_(locations=None)), NOW, "invalid_authorization_details"),
        "for two operators": (
            desk.grant(desk.slice_(locations=(OPERATOR, "https://kpn.example"))), NOW, "invalid_authorization_details"
        ),
        "not to be passed on": (desk.grant(desk.slice_(depth=0)), NOW, "invalid_authorization_details"),
    }  # fmt: skip
    for why, (grant, now, error) in bad.items():
        answer = await desk.chain(grant, now)
        assert (answer.status, answer.body) == (400, {"error": error}), why
    grant = desk.grant()
    assert [(await desk.chain(grant)).status for _ in range(2)] == [200, 400]


FIELDS = ("grant_type", "assertion", "client_assertion", "client_assertion_type", "client_id", "authorization_details")
VALUES = st.sampled_from((JWT_BEARER, CLIENT_ASSERTION, BROKER, "", "x.y.z", "[{}]", "null")) | st.text(max_size=40)


PLAIN = Desk()


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=9), VALUES), VALUES)
def test_no_form_makes_an_endpoint_raise(form: dict[str, str], proof: str) -> None:
    desk = PLAIN
    for endpoint in (desk.agents, desk.brokers):
        for connection in (Connection(), Connection(proof, BROKER, X5T)):
            answer = asyncio.run(endpoint.answer(form | {"grant_type": JWT_BEARER}, connection, NOW))
            assert answer.status in {400, 401}
            assert set(answer.body) == {"error"}


# --- what was seen before ------------------------------------------------------------------------------------


async def every_filter(tmp_path: Path, work: Callable[[Replay], Any]) -> None:
    await work(Seen())
    for number, scripts in enumerate((migrations(), MIGRATIONS)):
        for kind in (ReplayRows, ProofRows):
            async with Database(tmp_path / f"{kind.__name__}{number}.sqlite", scripts) as opened:
                await work(kind(opened))


@pytest.mark.asyncio
async def test_every_filter_lets_an_id_pass_once(tmp_path: Path) -> None:
    async def work(replay: Replay) -> None:
        answers = await asyncio.gather(*(replay.first("r", "me", "j", until=NOW + 30, now=NOW) for _ in range(32)))
        assert sum(answers) == 1
        for role, iss, jti in (("s", "me", "j"), ("r", "mej", ""), ("r", "me", "k")):
            assert await replay.first(role, iss, jti, until=NOW + 30, now=NOW)
        assert not await replay.first("r", "me", "j", until=NOW + 60, now=NOW + 30)
        assert await replay.first("r", "me", "j", until=NOW + 60, now=NOW + 31)
        assert not await replay.first("r", "me", "j", until=NOW + 61, now=NOW + 31)

    await every_filter(tmp_path, work)


@pytest.mark.asyncio
async def test_what_was_seen_stays_seen_over_a_restart(tmp_path: Path) -> None:
    for first in (True, False):
        async with Database(tmp_path / "replay.sqlite", [TABLE]) as database:
            assert await ReplayRows(database).first("r", "me", "j", until=NOW + 30, now=NOW) is first
            proofs = ProofRows(database)
            answers = await asyncio.gather(*(proofs.first("r", "me", "k", until=NOW + 30, now=NOW) for _ in range(3)))
            assert sum(answers) == first


@pytest.mark.asyncio
async def test_a_proof_is_on_disk_with_whatever_is_written_after_it(tmp_path: Path) -> None:
    async with Database(tmp_path / "replay.sqlite", [TABLE]) as database:
        assert await ProofRows(database).first("r", "me", "j", until=NOW + 30, now=NOW)
        count = "SELECT count(*) FROM replay"
        assert await database.write(lambda c: int(c.execute(count).fetchone()[0])) == 1


def test_a_full_filter_forgets_nothing() -> None:
    seen = Seen(live_max=3)
    for number in range(3):
        assert seen.add("r", "me", str(number), until=NOW + number, now=NOW)
    with pytest.raises(Problem) as found:
        seen.add("r", "me", "3", until=NOW, now=NOW)
    assert found.value.code == "TOO_MANY_REQUESTS"
    assert not seen.add("r", "me", "0", until=NOW, now=NOW)
    assert seen.add("r", "me", "3", until=NOW + 9, now=NOW + 1)


# --- over HTTP -----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_over_http_it_is_a_strict_form_and_nothing_is_cached(desk: Desk) -> None:
    app = web.Application()
    http.mount(app, "/token", desk.agents, http.dpop_connection, FixedClock())
    async with TestClient(TestServer(app)) as client:
        form = {"grant_type": JWT_BEARER, "assertion": desk.cast.mandate()}
        answer = await client.post("/token", data=form, headers={"DPoP": desk.proof()})
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        assert (await answer.json())["token_type"] == "DPoP"
        good = "grant_type=x&assertion=y"
        plain = {"Content-Type": http.FORM}
        refusals: list[tuple[bytes, dict[str, str]]] = [
            (f"{good}&grant_type=x".encode(), plain),
            (b"&".join(b"f%d=1" % n for n in range(17)), plain),
            (b"\xff=1", plain),
            (b"a=%ff", plain),
            (b"nonsense", plain),
            (b"a=" + b"x" * 70_000, plain),
            (b"{}", {"Content-Type": "application/json"}),
            (gzip.compress(good.encode()), plain | {"Content-Encoding": "gzip"}),
        ]
        for body, headers in refusals:
            answer = await client.post("/token", data=body, headers=headers)
            assert (answer.status, await answer.json()) == (400, {"error": "invalid_request"}), body[:40]
        twice = [("DPoP", desk.proof()), ("DPoP", desk.proof())]
        answer = await client.post("/token", data=form, headers=twice)
        assert await answer.json() == {"error": "invalid_dpop_proof"}
        assert answer.headers["DPoP-Nonce"]


@pytest.mark.asyncio
async def test_over_http_a_filter_that_cannot_remember_gives_no_token(desk: Desk) -> None:
    full = AgentTokens(desk.cast.issuer(BROKER), URL, desk.cast.keys_of, Seen(live_max=0), NONCES)
    app = web.Application()
    http.mount(app, "/token", full, http.dpop_connection, FixedClock())
    async with TestClient(TestServer(app)) as client:
        form = {"grant_type": JWT_BEARER, "assertion": desk.cast.mandate()}
        answer = await client.post("/token", data=form, headers={"DPoP": desk.proof()})
        assert (answer.status, await answer.json()) == (503, {"error": "temporarily_unavailable"})
