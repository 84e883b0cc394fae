"""Where a broker is reached: the listener that anybody may read, and those of buyers and their agents."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from federation.broker.api.counter import Counter
from federation.broker.api.http import HttpFace, Seams
from federation.broker.api.tls import agents_tls, origins_of
from federation.broker.authority.door import TOKEN_PATH, Door
from federation.broker.authority.power import Buyer
from federation.broker.circle import Identity
from federation.broker.config import BrokerConfig
from federation.broker.desk import Desk
from federation.broker.peers.news import BASE as TOLD
from federation.broker.peers.news import News
from federation.evidence.log import Log
from federation.node.certificate import server_tls
from federation.node.http import listen
from federation.node.identity.presence import Presence
from federation.node.mtls.mutual import Mutual
from federation.node.public import base_path
from federation.node.seams import Entropy
from federation.sonata.listener import listen_to_events
from federation.trust.certificates import x5c
from schemas.authority import AUTHORITY_TYPE
from schemas.entity import BrokerMetadata, FederationEntity, Metadata
from schemas.problem import Problem

if TYPE_CHECKING:
    from federation.broker.api.mcp import McpListener


class Faces:
    """The listeners of one broker; `ports` names those that are open."""

    def __init__(self, identity: Identity) -> None:
        self._identity, self._config = identity, identity.config
        self._clock, self._entropy = identity.clock, identity.entropy
        self.ports: dict[str, int] = {}

    async def present(self, stack: AsyncExitStack, mutual: Mutual, evidence: Log, news: News) -> Presence | None:
        """Tell anybody who this broker is, and what its log has, where it has a public listener."""
        at = self._config.listen
        if at.public_port is None:
            return None
        said = functools.partial(self._said, mutual, evidence)
        presence = Presence(self._config, self._identity.protocol, said, self._clock)
        app, tls = presence.app(), server_tls(self._config.public.tls, "public.tls")
        evidence.publish(app)
        listen_to_events(app, base_path(self._config.entity) + TOLD, news.hear)
        self.ports["public"] = await listen(app, at.host, at.public_port, stack, tls)
        return presence

    def _said(self, mutual: Mutual, evidence: Log, named: FederationEntity) -> Metadata:
        """What this broker says of its endpoints and keys."""
        at = self._config.listen
        host = f"[{at.host}]" if ":" in at.host else at.host
        here = f"{'https' if at.tls else 'http'}://{host}:{self.ports.get('http', at.http_port)}"
        origin = at.origins[0] if at.origins else here
        role = BrokerMetadata(
            endpoint=f"{origin}/peerway/v1",
            jwks=self._identity.protocol.keys.public(),
            tls_ca=tuple(map(x5c, mutual.own.published())),
            token_endpoint=origin + TOKEN_PATH,
            authorization_details_types_supported=(AUTHORITY_TYPE,),
        )
        return Metadata(federation_entity=evidence.said(named), connectivity_broker=role)

    @asynccontextmanager
    async def open(self, desk: Desk, door: Door, tasks: asyncio.TaskGroup) -> AsyncIterator[dict[str, int]]:
        """The listeners; leaving closes them and waits for the requests under way."""
        config, at = self._config, self._config.listen

        def exchange_of(buyer: Buyer) -> Counter:
            return Counter(desk, buyer)

        ports = self.ports
        async with AsyncExitStack() as faces:
            http = HttpFace(exchange_of, door, config.limits, Seams(self._clock, self._entropy), origins_of(at))
            ports["http"] = await listen(http.app(), at.host, at.http_port, faces, agents_tls(at.tls))
            if at.mcp:
                mcp = _agents_face(exchange_of, door, config, self._entropy)
                tasks.create_task(mcp.serve(), name="mcp")
                faces.callback(mcp.stop)
                ports["mcp"] = mcp.port
            yield ports


def _agents_face(
    exchange_of: Callable[[Buyer], Counter], door: Door, config: BrokerConfig, entropy: Entropy
) -> McpListener:
    """The MCP listener. Imported late: its library takes a second, which a broker without this face need not spend."""
    try:
        from federation.broker.api.mcp import McpListener, mcp_app
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed: pip install 'peerway[broker]', or set mcp = false under [listen]"
        raise Problem("UNAVAILABLE", why) from error
    app, at = mcp_app(exchange_of, door, config, entropy), config.listen
    return McpListener(app, at.host, at.mcp_port, agents_tls(at.tls))
