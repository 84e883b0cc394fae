"""A buyer that signs mandates, known to a broker by its keys, and agents that act for it."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from federation.client.agent import Agent
from federation.node.seams import SystemClock, SystemEntropy
from federation.trust.jose import sign_jws
from federation.trust.keys import PrivateKey, generate
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.entity import Jwks
from schemas.mandate import AgentKey, Mandate
from schemas.problem import Problem

CAROL = "https://carol.example"
BROKER = "https://broker.example"


async def refused(request: Awaitable[object]) -> Problem:
    """The problem that a request ends in."""
    with pytest.raises(Problem) as caught:
        await request
    return caught.value


class TakenBack:
    """Implements `Revocations` in memory."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], int] = {}

    async def revoke(self, issuers: Collection[str], mandate_h: str, now: int) -> int:
        """See `Revocations`."""
        return min(self._at.setdefault((issuer, mandate_h), now) for issuer in issuers)

    async def revoked(self, issuer: str, mandate_h: str) -> bool:
        """See `Revocations`."""
        return (issuer, mandate_h) in self._at


class Principal:
    """The buyer Carol."""

    def __init__(self) -> None:
        self.key = generate()

    def introduce(self, broker_folder: Path, name: str = "carol") -> None:
        """Write Carol into the configuration of a broker that has not started yet."""
        (broker_folder / "carol.jwks").write_bytes(msgspec.json.encode(Jwks((self.key.jwk(),))))
        with (broker_folder / "config.toml").open("a") as config:
            config.write(f'[[buyers]]\nname = "{name}"\nentity = "{CAROL}"\njwks = "carol.jwks"\n')

    def itself(self) -> Agent:
        """Carol, who acts with her own key under a mandate that she signed for herself."""
        return self.agent(key=self.key)

    def agent(self, authority: Authority | None = None, *, key: PrivateKey | None = None, **changes: Any) -> Agent:
        """An agent with a key, a new one of its own if none is given, and a mandate for it."""
        now, key = SystemClock().now(), key or generate()
        claims = Mandate(
            iss=CAROL,
            sub="carols-agent",
            aud=BROKER,
            iat=now,
            exp=now + 86400,
            jti=SystemEntropy().token(),
            cnf=AgentKey(key.kid),
            authorization_details=(authority or wide(),),
        )
        return Agent(key, sign_jws(self.key, structs.replace(claims, **changes)))


def wide(ccy: str = "EUR", total: int = 10**12, per_order: int | None = None, **changes: Any) -> Authority:
    """An authority for everything, within a budget in micro-units."""
    until = SystemClock().now() + 86400
    spend = Spend(ccy=ccy, per_order_micro=total if per_order is None else per_order, total_micro=total, until=until)
    made = Authority(
        type=AUTHORITY_TYPE, actions=tuple(Deed), max_bandwidth_bps=10**12, spend=spend, max_hops=16, depth=3
    )
    return structs.replace(made, **changes)
