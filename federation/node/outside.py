"""The guarded way out of this node, as its configuration allows it."""

from __future__ import annotations

import ipaddress
import ssl
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
    roots = roots_in(rules.roots, "trust.egress.roots") if rules.roots else None
    dns = Dns()
    try:
        async with Egress(dns, rules=listed, roots=roots, allowed=allowed) as egress:
            yield egress
    finally:
        dns.close()


def roots_in(path: str, field: str) -> ssl.SSLContext:
    """The system's authorities and those of a file (PEM). Raises `INVALID_ARGUMENT`."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise invalid(field, f"{path} cannot be read as certificates in PEM") from error
    return context


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise invalid("trust.egress.networks", f"'{text}' is no network, such as 10.0.0.0/8") from error
