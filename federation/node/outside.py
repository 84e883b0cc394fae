"""The guarded way out of this node, as its configuration allows it."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from federation.node.dns import Dns
from federation.node.settings import EgressRules
from federation.trust.destinations import Rules, is_public
from federation.trust.egress import Egress
from schemas.problem import invalid


@asynccontextmanager
async def outside(rules: EgressRules) -> AsyncIterator[Egress]:
    """An egress until the block ends. Raises `INVALID_ARGUMENT` where a rule is none."""
    networks = [_network(text) for text in rules.networks]

    def allowed(address: str) -> bool:
        return is_public(address) or any(ipaddress.ip_address(address) in network for network in networks)

    literals = (*rules.literals, *(place.split("/")[2] for place in rules.places.values()))
    listed = Rules(ports=frozenset(rules.ports), names=rules.names, literals=frozenset(literals))
    dns = Dns()
    try:
        async with Egress(dns, rules=listed, allowed=allowed) as egress:
            yield egress
    finally:
        dns.close()


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise invalid("trust.egress.networks", f"'{text}' is no network, such as 10.0.0.0/8") from error
