"""A node to everybody: its entity configuration, made from its configuration and keys, and the keys that it once had.

Both are signed with the federation key, never with the one that signs documents. The files of keys and the folder of
trust marks are looked at again and again, so that nothing has to be restarted when one of them is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec
from aiohttp import web

from federation.node.callers import address_rates
from federation.node.identity.former import FormerKeys
from federation.node.identity.keyfile import KeyFile
from federation.node.limits import Buckets, Rate
from federation.node.public import base_path, public_app, publish
from federation.node.seams import Clock
from federation.node.settings import Keys, Trust
from federation.trust.domain import read_anchors
from federation.trust.issue import historical_keys
from federation.trust.jose import unverified
from federation.trust.own import OwnConfiguration
from schemas.entity import FederationEntity, Metadata, TrustMark
from schemas.problem import Problem

LOOK_S: Final = 2.0  # key files are changed by hand and by other processes, which tell nobody
FORMER: Final = "former-keys.json"
HISTORY: Final = "/federation/keys"
HISTORY_TYPE: Final = "application/jwk-set+jwt"
READERS: Final = Rate(per_second=50, burst=1_000)
log = logging.getLogger(__name__)


class NodeConfig(Protocol):
    """What the configuration of any daemon says of itself."""

    @property
    def entity(self) -> str:
        """Its entity id."""
        ...

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def data(self) -> str:
        """The folder of what it must not forget."""
        ...

    @property
    def keys(self) -> Keys:
        """The files of its keys."""
        ...

    @property
    def trust(self) -> Trust:
        """Whom it believes."""
        ...


class Presence:
    """`app` serves it; `look` follows the files, and `run` does so until cancelled."""

    def __init__(
        self,
        config: NodeConfig,
        protocol: KeyFile,
        metadata: Callable[[FederationEntity], Metadata],
        clock: Clock,
    ) -> None:
        """`metadata` adds the node's role to what every entity says. Makes federation keys where there are none.

        Raises `Problem` where the anchors or the keys cannot be read.
        """
        assert config.keys.federation is not None, "a configuration that was loaded says where"
        trust, self._entity, self._name, self._metadata = config.trust, config.entity, config.name, metadata
        self._marks = Path(trust.marks) if trust.marks else None
        self._federation = KeyFile.open(Path(config.keys.federation), "keys.federation", make=True)
        self._protocol, self._clock = protocol, clock
        self._former = FormerKeys(Path(config.data) / FORMER, clock)
        self._own = OwnConfiguration(
            config.entity,
            lambda: self._federation.keys,
            self._said,
            authorities=trust.superiors or tuple(read_anchors(Path(trust.anchors))),
            now=clock.now,
            marks=self._carried,
        )
        self._said_last = b""
        self.look()

    def app(self) -> web.Application:
        """For the public listener."""
        guard = address_rates(Buckets(READERS), self._clock)
        app = public_app(self._entity, self._own.current, guard)
        publish(app, base_path(self._entity) + HISTORY, self.history, HISTORY_TYPE)
        return app

    async def configuration(self) -> str:
        """The entity configuration to serve now."""
        return await self._own.current()

    async def history(self) -> str:
        """The keys of the past, signed."""
        return historical_keys(self._federation.signer, self._entity, self._former.rows(), now=self._clock.now())

    def look(self) -> None:
        """Follow the files: sign anew where a key, a mark or an endpoint is another one."""
        self._federation.look()
        self._protocol.look()
        files = (self._federation, self._protocol)
        self._former.follow(jwk for file in files for jwk in file.keys.public().keys)
        said = msgspec.json.encode((self._federation.keys.public(), self._said(), self._carried()))
        if said != self._said_last:
            self._said_last = said
            self._own.changed()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except Exception:
                log.exception("a fault in following the key files; what was published stays")

    def _said(self) -> Metadata:
        endpoint = self._entity + HISTORY
        return self._metadata(
            FederationEntity(organization_name=self._name, federation_historical_keys_endpoint=endpoint)
        )

    def _carried(self) -> tuple[str, ...]:
        """The marks about this node in its folder; what is none, or about somebody else, is left out."""
        files = sorted(self._marks.glob("*.jwt")) if self._marks is not None else ()
        return tuple(token for path in files if (token := _mark(path, self._entity)))


def _mark(path: Path, entity: str) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
        about = unverified(token, TrustMark).sub
    except (OSError, UnicodeDecodeError, Problem) as error:
        log.warning("%s is no trust mark: %s", path, error)
        return ""
    if about != entity:
        log.warning("%s is a trust mark of %s", path, about)
        return ""
    return token
