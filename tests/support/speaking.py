"""Members with real certificates in folders, for connections on loopback.

TLS reads the time of the machine, so these certificates hold for decades; what a test's clock decides is the check
after the handshake.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.node.mtls.own import Own, make_authority
from federation.node.mtls.tls import Tls
from federation.trust.certificates import Authority, Certificate, der, leaf, pem, read_authority
from federation.trust.keys import PrivateKey
from federation.trust.speakers import Speakers
from tests.support.seams import FixedClock

BEGIN = 1_600_000_000  # 2020
DECADES_S = 40 * 365 * 86_400
SURF, BROKER, EVIL = "https://surf.example", "https://broker.example", "https://evil.example"
HOSTS = ("localhost", "surf.example", "127.0.0.1")


def keys(seed: int) -> Callable[[], PrivateKey]:
    """New keys, the same ones for the same seed."""
    chance = random.Random(seed)
    return lambda: PrivateKey(ec.derive_private_key(chance.randrange(1, 2**255), ec.SECP256R1()))


class Node:
    """One member: its files, whom it believes, its TLS."""

    def __init__(
        self, folder: Path, entity: str, clock: FixedClock, *, seed: int, hosts: tuple[str, ...] = HOSTS
    ) -> None:
        make = keys(seed)
        make_authority(folder, entity, now=BEGIN, life_s=DECADES_S, key=make())
        self.entity, self.clock = entity, clock
        # The leaf begins with the machine's past, whatever the test's clock says.
        self.own = Own.open(folder, entity, hosts, FixedClock(BEGIN), life_s=DECADES_S - 1, new_key=make)
        self.speakers = Speakers()
        self.tls = Tls(self.own, self.speakers)

    @property
    def certificate(self) -> Certificate:
        """Its authority."""
        return self.own.certificate

    def authority(self) -> Authority:
        """What this member's metadata say."""
        return read_authority(self.entity, [der(self.own.certificate)], now=BEGIN, exp=BEGIN + DECADES_S)

    def believe(self, *others: Node) -> None:
        """Believe these, and speak with them from now on."""
        self.speakers.believe(other.authority() for other in others)
        self.tls.refresh()

    def judge(self, leaf: bytes) -> str:
        """Who speaks."""
        return self.speakers.judge(leaf, self.clock.now()).entity

    def rotate(self) -> None:
        """A new leaf with a new key, now."""
        self.own.renew(now_at_once=True)
        self.tls.refresh()

    def forge(self, entity: str, path: Path) -> Path:
        """A leaf that speaks for another member's entity, issued by this one's authority; key and certificate."""
        key = keys(1000)()
        subject = key.key.public_key()
        made = leaf(self.own._key, self.own.certificate, subject, entity, HOSTS, now=BEGIN, life_s=DECADES_S - 1)
        secret = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(secret + pem(made))
        return path


def members(folder: Path, clock: FixedClock, entities: Iterable[str] = (SURF, BROKER, EVIL)) -> list[Node]:
    """Members that believe one another."""
    nodes = [Node(folder / str(n), entity, clock, seed=n) for n, entity in enumerate(entities, 1)]
    for node in nodes:
        node.believe(*nodes)
    return nodes


async def rotating(server: Node, caller: Node, other: Node, call: Callable[[int], Awaitable[None]]) -> None:
    """400 calls by 8 callers; every 40, both ends take a new leaf, and the server believes `other` or no longer."""
    answered = 0

    async def calls(count: int) -> None:
        nonlocal answered
        for number in range(count):
            await call(number)
            answered += 1

    async with asyncio.TaskGroup() as tasks:
        at_work = [tasks.create_task(calls(50)) for _ in range(8)]
        for step in range(8):
            while answered < 40 * (step + 1):
                assert not any(task.cancelled() for task in at_work), "a call was cut off"
                await asyncio.sleep(0)
            caller.rotate()
            server.rotate()
            server.believe(*([server, caller, other] if step % 2 else [server, caller]))
