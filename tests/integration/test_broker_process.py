"""The broker as a process, with nobody to buy from: what it says when it starts, and when it cannot."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from federation.cli.demo.processes import BROKER, Launch, launched
from federation.trust.keys import dump_private, generate
from schemas.intent import Intent
from schemas.problem import Problem
from tests.support.federation import TinyFederation, tiny_federation
from tests.support.forks import forked

INTENT = Intent(a="Oslo@north", z="Rome@south", bandwidth_bps=10**9, duration_s=3600)


class Served(NamedTuple):
    """How a broker ended, and what it left on its outputs."""

    returncode: int
    stdout: str
    stderr: str


@pytest_asyncio.fixture
async def lonely(tmp_path: Path) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path, plans=(), start=False) as made:
        yield made


def served(folder: Path, launch: Launch = forked) -> Served:
    """Run the broker where it is expected to end by itself: its status, and what it said and told."""
    out, err = folder / "said", folder / "told"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = launch([*BROKER, "--config", str(folder / "broker" / "config.toml")], stdout, stderr)
        return Served(process.wait(60), out.read_text(), err.read_text())


@pytest.mark.asyncio
@pytest.mark.parametrize("launch", [launched, forked])
async def test_it_says_when_it_serves_answers_and_ends_on_sigterm(lonely: TinyFederation, launch: Launch) -> None:
    lonely.processes.launch = launch
    await lonely.start("broker")
    node = lonely.nodes["broker"]
    told = node.ready[0]
    assert told["ready"] == "https://broker.example"
    assert lonely.broker.endswith(str(told["http"]))
    async with lonely.client() as client:
        assert (await client.federation()).operators == ()
        with pytest.raises(Problem) as caught:
            await client.search(INTENT)
        assert caught.value.code == "INVALID_ARGUMENT"
    async with aiohttp.ClientSession() as session, session.get(lonely.broker + "/openapi.json") as response:
        assert (await response.json())["openapi"] == "3.1.0"
    node.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(node.process.wait, 20) == 0
    assert "Traceback" not in node.log.read_text()


@pytest.mark.asyncio
async def test_two_brokers_do_not_share_a_data_folder(lonely: TinyFederation) -> None:
    await lonely.start("broker")
    second = await asyncio.to_thread(served, lonely.folder)
    assert second.returncode == 2
    assert "in use" in second.stderr.splitlines()[-1]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        ("port", "is in use"),
        ("toml", "config.toml"),
        ("key", "listen.http_prot"),
        ("an open address", "listen.host: is no loopback address"),
        ("no private key", "key.json"),
        ("another private key", "is not the key of a broker"),
        ("no trust domain", "trust"),
    ],
)
async def test_a_start_that_cannot_be_is_one_clear_line(lonely: TinyFederation, break_it: str, says: str) -> None:
    config, key = (lonely.folder / "broker" / name for name in ("config.toml", "key.json"))
    text = config.read_text()
    with socket.socket() as taken:
        if break_it == "port":
            port = int(lonely.broker.rpartition(":")[2])
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            config.write_text(text.replace(str(port), str(taken.getsockname()[1])))
        elif break_it == "toml":
            config.write_text(text.replace("listen = {", "listen = ["))
        elif break_it == "key":
            config.write_text(text.replace("http_port", "http_prot"))
        elif break_it == "an open address":
            config.write_text(text.replace("listen = {", 'listen = { host = "0.0.0.0",'))
        elif break_it == "no private key":
            key.unlink()
        elif break_it == "another private key":
            key.write_bytes(dump_private(generate()))
        else:
            (lonely.folder / "trust" / "members").unlink()
        told = await asyncio.to_thread(served, lonely.folder)
    assert told.returncode == 2, told.stderr
    last = told.stderr.splitlines()[-1]
    assert last.startswith("peerway broker: ")
    assert says in last
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
