"""Public listeners that speak TLS themselves, read through the guarded egress with a local root."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from federation.anchor.anchor import anchor
from federation.anchor.books import Enrolled
from federation.anchor.hatch import Enrol, order_at
from federation.anchor.throwaway import ANCHOR, throwaway_anchor
from federation.broker.broker import serve
from federation.broker.circle import Circle, identify
from federation.broker.config import load_config as load_broker
from federation.cli.demo.ports import PortReserve
from federation.node.outside import outside
from federation.node.seams import SystemClock, SystemEntropy
from federation.node.settings import EgressRules, ListenTls
from federation.trust.issue import jwks
from federation.trust.keys import PrivateKey, dump_private, generate
from federation.trust.resolve import unverified_of
from federation.trust.statements import HttpStatements
from operators.config import load_config
from operators.daemon import operator
from operators.inventory.footprint import dump
from schemas.problem import Problem
from tests.support.footprints import ENTITY
from tests.support.local_root import LocalRoot
from tests.support.operator_world import BROKER, drawn

pytestmark = pytest.mark.asyncio
AUDITOR = "https://auditor.example"
HOSTS = tuple(entity.removeprefix("https://") for entity in (ANCHOR, ENTITY, BROKER))
WAIT_S = 30

OPERATOR_TOML = """\
entity = "{entity}"
name = "AS 1"
data = "data"
footprint = "footprint.json"
keys = {{ private = "protocol.json", federation = "federation.json" }}
listen = {{ http_port = 0, grpc_port = 0, public_port = {port} }}
contact = {{ name = "Sales", number = "+31-30-0000000", email = "sales@as1.example" }}
[public.tls]
certificate = "public.pem"
private_key = "public.key"
[trust]
anchors = "../anchors.json"
[trust.egress]
roots = "../root/root.pem"
[trust.egress.names]
{names}
[[route_classes]]
id = "any"
[route_classes.rates]
port_hourly_micro = {{ uni = 450_000, enni = 300_000 }}
"""
BROKER_TOML = """\
entity = "{entity}"
name = "Broker"
data = "data"
keys = {{ private = "protocol.json", federation = "federation.json" }}
listen = {{ http_port = 0, mcp = false, public_port = {port} }}
[public.tls]
certificate = "public.pem"
private_key = "public.key"
[search]
compiled = false
[trust]
anchors = "../anchors.json"
[trust.egress]
roots = "../root/root.pem"
[trust.egress.names]
{names}
"""


class Town:
    """Where everybody's public listener is, and who vouches for it."""

    def __init__(self, folder: Path, ports: PortReserve) -> None:
        self.folder, self.root = folder, LocalRoot(folder / "root", *HOSTS)
        self.ports = {host: ports.take() for host in HOSTS}
        self.names = {f"{host}:443": f"127.0.0.1:{port}" for host, port in self.ports.items()}

    def rules(self, *, roots: bool = True) -> EgressRules:
        return EgressRules(names=self.names, roots=str(self.root.file) if roots else None)

    def node(self, entity: str, text: str) -> tuple[Path, PrivateKey]:
        """The folder of a node with its configuration, keys and certificate; its federation key."""
        host, federation = entity.removeprefix("https://"), generate()
        own = self.folder / host
        self.root.certificate(own)
        for name, key in (("protocol.json", generate()), ("federation.json", federation)):
            (own / name).write_bytes(dump_private(key))
        names = "\n".join(f'"{name}" = "{place}"' for name, place in self.names.items())
        (own / "config.toml").write_text(text.format(entity=entity, port=self.ports[host], names=names))
        return own, federation


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[tuple[Town, ListenTls]]:
    """An anchor that serves over TLS, and the files of its certificate."""
    clock = SystemClock()
    with PortReserve() as ports:
        made = Town(folder, ports)
        async with throwaway_anchor(folder, AUDITOR, clock):
            pass
        tls = made.root.certificate(folder / "anchor-tls")
        port = made.ports[HOSTS[0]]
        async with anchor(folder / "anchor", "127.0.0.1", port, clock, tls):
            yield made, tls


async def shown(port: int, root: Path, host: str) -> int:
    """The serial number of the certificate that a listener shows now."""
    context = ssl.create_default_context(cafile=str(root))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(found).serial_number


async def test_configuration_statement_list_and_status_are_read_over_tls(tmp_path: Path) -> None:
    async with town(tmp_path) as (made, _), outside(made.rules()) as egress:
        statements = HttpStatements(egress)
        own = unverified_of(await statements.configuration(ANCHOR))
        assert (own.iss, own.sub) == (ANCHOR, ANCHOR)
        assert await statements.subordinates(own) == (AUDITOR,)
        assert unverified_of(await statements.statement(own, AUDITOR)).sub == AUDITOR
        assert await statements.status(f"{ANCHOR}/federation/status")
        assert await egress.get(f"{ANCHOR}/healthz") == b'{"status":"ok"}'


async def test_without_the_root_nothing_is_read(tmp_path: Path) -> None:
    async with town(tmp_path) as (made, _), outside(made.rules(roots=False)) as egress:
        with pytest.raises(Problem, match="cannot be read") as caught:
            await HttpStatements(egress).configuration(ANCHOR)
        assert caught.value.code == "UNAVAILABLE"


async def test_a_certificate_in_another_name_is_refused(tmp_path: Path) -> None:
    async with town(tmp_path) as (made, _):
        names = {"evil.example:443": f"127.0.0.1:{made.ports[HOSTS[0]]}"}
        async with outside(EgressRules(names=names, roots=str(made.root.file))) as egress:
            with pytest.raises(Problem) as caught:
                await egress.get("https://evil.example/.well-known/openid-federation")
    assert caught.value.code == "UNAVAILABLE"


async def test_files_that_change_are_followed_and_broken_ones_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with town(tmp_path) as (made, tls):
        port, first = made.ports[HOSTS[0]], made.root.serial
        assert await shown(port, made.root.file, HOSTS[0]) == first
        made.root.certificate(Path(tls.certificate).parent)
        second = made.root.serial
        assert await shown(port, made.root.file, HOSTS[0]) == second != first

        key = Path(tls.private_key).read_text()
        for broken in ("no key at all", dump_private(generate()).decode()):
            Path(tls.private_key).write_text(broken)
            assert await shown(port, made.root.file, HOSTS[0]) == second
        Path(tls.private_key).unlink()
        assert await shown(port, made.root.file, HOSTS[0]) == second
        assert caplog.text.count("stays as it was") == 3
        Path(tls.private_key).write_text(key)
        assert await shown(port, made.root.file, HOSTS[0]) == second


async def test_an_anchor_does_not_start_with_files_that_cannot_be_used(tmp_path: Path) -> None:
    async with throwaway_anchor(tmp_path, AUDITOR, SystemClock()):
        pass
    absent = ListenTls(certificate=str(tmp_path / "absent.pem"), private_key=str(tmp_path / "absent.key"))
    with pytest.raises(Problem, match=r"absent\.pem"):
        async with anchor(tmp_path / "anchor", "127.0.0.1", 0, SystemClock(), absent):
            pass


async def test_an_operator_and_a_broker_find_each_other_over_tls_alone(tmp_path: Path) -> None:
    clock, entropy, stop = SystemClock(), SystemEntropy(), asyncio.Event()
    async with town(tmp_path) as (made, _), AsyncExitStack() as stack:
        seller, seller_key = made.node(ENTITY, OPERATOR_TOML)
        (seller / "footprint.json").write_bytes(dump(drawn()))
        buyer, buyer_key = made.node(BROKER, BROKER_TOML)
        roles = ((ENTITY, seller_key, "connectivity_operator"), (BROKER, buyer_key, "connectivity_broker"))
        for entity, key, role in roles:
            member = Enrolled(entity=entity, jwks=jwks(key), types=(role,))
            await order_at(tmp_path / "anchor", Enrol(member=member), clock)
        running = await stack.enter_async_context(operator(load_config(seller / "config.toml"), clock, entropy))
        circles: asyncio.Queue[Circle] = asyncio.Queue()
        identity = identify(load_broker(buyer / "config.toml"), clock, entropy)
        broker = asyncio.create_task(serve(identity, stop, circles.put_nowait))
        stack.push_async_callback(asyncio.wait, [broker])
        stack.callback(stop.set)
        circle = await asyncio.wait_for(circles.get(), WAIT_S)

        async with asyncio.timeout(WAIT_S):
            while not (ENTITY in circle.members.domain.members and BROKER in running.members.domain.members):
                await asyncio.sleep(0.05)
                await running.members.refresh()
        assert running.members.domain.rejected == {}
