"""Nodes as processes of their own: started in their own session, awaited by their ready lines, ended by their ids."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from schemas.problem import Problem

READY_S_MAX: Final = 90
ENDING_S_MAX: Final = 8
POLL_S: Final = 0.02  # a child tells by its file of ready lines and by its end: nothing that can be awaited
LOG_TAIL_LINES: Final = 4
LOG_TAIL_CHARS_MAX: Final = 600
OPERATOR: Final = (sys.executable, "-m", "operators.cli.main", "serve")
BROKER: Final = (sys.executable, "-m", "federation.cli.main", "broker", "serve")
ANCHOR: Final = (sys.executable, "-m", "federation.cli.main", "anchor", "serve")
HERE: Final = Path(__file__).parents[3]


@dataclass
class Node:
    """One running process; `ready` holds the JSON lines it printed, one for each operator or broker it carries."""

    name: str
    process: subprocess.Popen[bytes]
    said: Path
    log: Path
    ready: list[dict[str, Any]] = field(default_factory=list)

    @property
    def memory_kib(self) -> int:
        """Resident memory, or 0 where the system does not tell."""
        with suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
            return int(status.split("VmRSS:")[1].split()[0])
        return 0

    def explain(self, why: str) -> Problem:
        """The problem of a node that did not start, with the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = " | ".join(lines[-LOG_TAIL_LINES:])[-LOG_TAIL_CHARS_MAX:]
        return Problem("UNAVAILABLE", f"{self.name} {why}; its log ends: {tail or '(empty)'}")


def launched(command: Sequence[str], out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
    """One process, in a session of its own: Ctrl-C reaches the demo alone, which then ends everybody in order."""
    return subprocess.Popen(  # noqa: S603 - our own daemons, and no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    )


Launch = Callable[[Sequence[str], IO[bytes], IO[bytes]], Any]


class Processes:
    """Every process of a demo. Leaving the block ends them all, unless `keep` was called.

    `launch` gets a command and the files for what it says and what it logs.
    """

    def __init__(self, folder: Path, launch: Launch = launched) -> None:
        self._folder = folder
        self.launch = launch
        self._kept = False
        self.nodes: list[Node] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._kept:
            await asyncio.shield(asyncio.ensure_future(self.stop()))

    def keep(self) -> None:
        """Leave the processes running when the block ends."""
        self._kept = True

    def start(self, name: str, command: Sequence[str]) -> Node:
        """Start one, without waiting until it is ready. What it says and logs goes to files of the demo's folder."""
        said, log = self._folder / f"{name}.out", self._folder / f"{name}.log"
        with said.open("wb") as out, log.open("wb") as err:
            process = self.launch(command, out, err)
        node = Node(name, process, said, log)
        self.nodes.append(node)
        return node

    async def ready(self, node: Node, lines: int = 1) -> None:
        """Wait for the ready lines of a node. Raises `Problem` when it ends or stays silent."""
        try:
            async with asyncio.timeout(READY_S_MAX):
                while len(node.ready) < lines:
                    if node.process.poll() is not None:
                        raise node.explain("ended before it was ready")
                    node.ready = _ready_lines(node)
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise node.explain(f"was not ready after {READY_S_MAX} s") from error

    async def stop(self) -> None:
        """End every process: politely, then not."""
        for node in self.nodes:
            _signal(node, signal.SIGTERM)
        for _ in range(round(ENDING_S_MAX / POLL_S)):
            if all(node.process.poll() is not None for node in self.nodes):
                break
            await asyncio.sleep(POLL_S)
        for node in self.nodes:
            _signal(node, signal.SIGKILL)
            node.process.wait()
        self.nodes.clear()


def _ready_lines(node: Node) -> list[dict[str, Any]]:
    """What a node said so far; a line without its end is still being written."""
    *lines, _ = node.said.read_bytes().split(b"\n")
    try:
        told = [json.loads(line) for line in lines if line.strip()]
    except ValueError as error:
        raise node.explain("said something that is no ready line") from error
    return [line for line in told if isinstance(line, dict) and "ready" in line]


def _signal(node: Node, number: signal.Signals) -> None:
    if node.process.poll() is None:
        with suppress(ProcessLookupError):
            node.process.send_signal(number)
