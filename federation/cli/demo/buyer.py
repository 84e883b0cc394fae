"""The buyer of the demo and its agent: a key each, and the mandate that the one signs for the other."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from federation.cli.demo.cast import AGENT, BROKER, BUYER_ENTITY
from federation.client.agent import Agent, load_agent
from federation.client.signing import sign_mandate
from federation.node.seams import Clock
from federation.trust.keys import dump_private, generate
from schemas.entity import Jwks
from schemas.price import Money

PER_ORDER: Final = Money("EUR", 50_000_000)
TOTAL: Final = Money("EUR", 200_000_000)
MOST_BPS: Final = 10**11
LASTS_S: Final = 7 * 86_400


class Delegation(NamedTuple):
    """The files of a buyer (`key`, and `jwks`, which its broker has) and of its agent."""

    key: Path
    jwks: Path
    agent_key: Path
    mandate: Path

    @property
    def agent(self) -> Agent:
        """The agent, as it proves itself."""
        return load_agent(self.mandate, self.agent_key)


def delegate(folder: Path, clock: Clock) -> Delegation:
    """Make both keys below `folder`, and have the buyer sign what its agent may do."""
    folder.mkdir(parents=True)
    made = Delegation(*(folder / name for name in ("buyer.json", "buyer.jwks", "agent.json", "mandate.jwt")))
    buyer, agent = generate(), generate()
    for path, key in ((made.key, buyer), (made.agent_key, agent)):
        path.touch(mode=0o600)
        path.write_bytes(dump_private(key))
    made.jwks.write_bytes(msgspec.json.encode(Jwks((buyer.jwk(),))))
    limits = dict.fromkeys(("operators", "countries", "without_regimes", "marks"))
    mandate = sign_mandate(
        made.key,
        buyer=BUYER_ENTITY,
        broker=BROKER,
        agent=AGENT,
        agent_kid=agent.kid,
        total=TOTAL,
        per_order_micro=PER_ORDER.micro,
        until=clock.now() + LASTS_S,
        limits=limits | {"actions": ("quote", "order", "extend", "release"), "bandwidth": MOST_BPS, "hops": 16},
        clock=clock,
    )
    made.mandate.write_text(mandate + "\n", encoding="ascii")
    return made
