"""Starts the floor: a broker that echoes and as many operators that do, members of the chain's own trust domain."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.chain.buyer import Floor
from benchmarks.chain.echo import PATH, Other, Setting
from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.cli.demo.processes import Node, Processes
from federation.node.mtls.own import make_authority
from federation.node.seams import SystemClock
from federation.node.settings import ListenTls
from federation.trust.keys import PrivateKey, dump_private
from federation.trust.throwaway import ThrowawayDomain

BROKER: Final = "https://floor.example"


class Face(NamedTuple):
    """How the broker of the floor shows itself, and the key of its buyer."""

    shown: ListenTls
    buyer: PrivateKey


def add_floor(
    folder: Path, count: int, domain: ThrowawayDomain, ports: PortReserve, face: Face
) -> tuple[Floor, tuple[Setting, ...]]:
    """Members for a floor of `count` operators, their files, and where the buyer finds its broker."""
    settings, own = list[Setting](), ports.take()
    for number in range(count):
        entity, port = f"https://floor{number}.example", ports.take()
        key = domain.add_operator(
            entity,
            f"Floor {number}",
            sonata=f"https://{LOOPBACK}:{port}/mefApi/sonata",
            mesh=f"{LOOPBACK}:{port}",
            documents=f"https://{LOOPBACK}:{port}/documents",
            tls=make_authority(folder / f"floor{number}" / "tls", entity, now=SystemClock().now()),
        )
        settings.append(_setting(folder, f"floor{number}", entity, port, key))
    key = domain.add_broker(
        BROKER,
        "Floor",
        endpoint=f"https://{LOOPBACK}:{own}",
        tls=make_authority(folder / "floor" / "tls", BROKER, now=SystemClock().now()),
    )
    broker = msgspec.structs.replace(
        _setting(folder, "floor", BROKER, own, key),
        others=tuple(Other(one.entity, f"https://{LOOPBACK}:{one.port}{PATH}") for one in settings),
        literals=tuple(f"{LOOPBACK}:{one.port}" for one in settings),
        public=face.shown,
        buyer=face.buyer.jwk(),
    )
    domain.write()
    return Floor(Other(BROKER, f"https://{LOOPBACK}:{own}{PATH}"), key.jwk()), (*settings, broker)


def _setting(folder: Path, name: str, entity: str, port: int, key: PrivateKey) -> Setting:
    here = folder / name
    (here / "key.json").write_bytes(dump_private(key))
    return Setting(entity=entity, folder=str(here), trust=str(folder / "trust"), port=port)


async def start_floor(processes: Processes, settings: Sequence[Setting]) -> dict[str, Node]:
    """All of its nodes, by name, once they serve."""
    nodes = {}
    for setting in settings:
        file = Path(setting.folder) / "echo.json"
        file.write_bytes(msgspec.json.encode(setting))
        name = Path(setting.folder).name
        nodes[name] = processes.start(name, [sys.executable, "-m", "benchmarks.chain.echo", str(file)])
    for node in nodes.values():
        await processes.ready(node)
    return nodes
