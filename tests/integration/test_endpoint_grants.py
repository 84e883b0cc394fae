"""A UNI that belongs to somebody else: sold to nobody without its owner's grant for this very broker."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import msgspec
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from federation.node.seams import SystemClock, SystemEntropy
from federation.trust.jose import doc_hash, sign_jws, unverified
from federation.trust.keys import generate
from schemas.entity import Jwks
from schemas.grant import EndpointGrant
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from schemas.segment import window
from tests.support.federation import BrokerPlan, Plan, tiny_federation

OWNER, BROKER, NORTH = "https://hospital.example", "https://broker.example", "https://north.example"
ALONE = Plan(
    "north",
    (("oslo", "Oslo", 59.9, 10.7, "NO"), ("kiel", "Kiel", 54.3, 10.1, "DE")),
    {},
    ("oslo", "kiel"),
)
ASKED = {"from_place": "Oslo@north", "to_place": "Kiel@north", "bandwidth_mbps": 100, "duration_s": 600}
INTENT = Intent(a="Oslo@north", z="Kiel@north", bandwidth_bps=10**8, duration_s=600)


@pytest.mark.asyncio
async def test_it_is_sold_with_the_grant_for_this_broker_alone(tmp_path: Path) -> None:
    owner = generate()

    def grant(**changes: object) -> str:
        now = SystemClock().now()
        said = {
            "iss": OWNER, "sub": BROKER, "aud": NORTH, "iat": now, "exp": now + 3600, "jti": SystemEntropy().token(),
            "uni": "uni-oslo", "bandwidth_bps": 10**9, "window": window(now - 60, now + 3600),
        }  # fmt: skip
        return sign_jws(owner, EndpointGrant(**(said | changes)))  # type: ignore[arg-type]

    async with tiny_federation(tmp_path, (ALONE,), desk=BrokerPlan(agents=True), start=False) as made:
        drawn = tmp_path / "north" / "footprint.json"
        footprint = json.loads(drawn.read_text())
        footprint["unis"][0]["owner"] = OWNER
        drawn.write_text(json.dumps(footprint))
        (tmp_path / "north" / "owner.jwks").write_bytes(msgspec.json.encode(Jwks((owner.jwk(),))))
        with (tmp_path / "north" / "config.toml").open("a") as config:
            config.write(f'[[owners]]\nentity = "{OWNER}"\njwks = "owner.jwks"\n')
        await made.start("north")
        await made.start("broker")
        async with made.client() as alice:
            useless = (
                (),
                (grant(sub="https://other.example"),),
                (grant(uni="uni-kiel"),),
                (grant(bandwidth_bps=10**7),),
                (sign_jws(generate(), unverified(grant(), EndpointGrant)),),
            )
            for grants in useless:
                with pytest.raises(Problem) as caught:
                    await alice.quote(INTENT, grants=grants)
                assert caught.value.code in {"POLICY_DENIED", "OPERATOR_REFUSED", "DOCUMENT_INVALID"}, grants
            used, unlooked_at = grant(), grant(aud="https://other.example")
            quote = await alice.quote(INTENT, grants=(used, unlooked_at))
            assert quote.state is State.HELD
            assert await alice.document(doc_hash(used)) == used
            with pytest.raises(Problem, match="document"):
                await alice.document(doc_hash(unlooked_at))
            order = await alice.order(quote.id)
            assert (await alice.get_order(order.id, 20)).state is State.ACTIVE
            await alice.release(order.id)
        async with (
            httpx2.AsyncClient(headers={"Authorization": "Bearer alice-key"}) as http,
            Client(streamable_http_client(made.mcp, http_client=http)) as agent,
        ):
            for refused in ([], [grant(uni="uni-kiel")], ["no.grant.at-all"]):
                answer = await agent.call_tool("quote", ASKED | {"grants": refused})
                assert answer.is_error, refused
            told = await agent.call_tool("quote", ASKED | {"grants": [grant()]})
        assert told.structured_content
        assert told.structured_content["state"] == "HELD"
