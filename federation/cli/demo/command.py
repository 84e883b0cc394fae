"""`peerway demo`."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from typing import TYPE_CHECKING, Final

import click

from federation.cli.exits import Exit
from schemas.problem import Problem

if TYPE_CHECKING:
    from rich.status import Status

    from federation.cli.demo.claims import DemoReport, Step

NEEDS: Final = ("topohub", "reverse_geocode", "mcp", "uvicorn")
EPILOG: Final = """\
\b
Examples:
  peerway demo                 five steps, told as they happen
  peerway demo --json          the same for a program
  peerway demo --keep          leaves everything running and says where
  peerway demo --all --json    all 98 published footprints
"""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, progress on the other.")
@click.option("--keep", is_flag=True, help="Leave it running, print the addresses and how to end it.")
@click.option("--all", "everyone", is_flag=True, help="Federate all 98 footprints and search the largest component.")
def demo(*, as_json: bool, keep: bool, everyone: bool) -> int:
    """Start fifteen real networks and a broker on this machine, buy a path, check every claim, and clean up.

    Exit status 0 only if every claim held. Nothing is left running or on disk, unless you ask with --keep.
    """
    if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        raise Problem("UNAVAILABLE", f"the demo needs {', '.join(missing)}: pip install 'peerway[demo]'")
    return asyncio.run(_run(as_json=as_json, keep=keep, everyone=everyone))


async def _run(*, as_json: bool, keep: bool, everyone: bool) -> int:
    from federation.cli.demo.run import perform

    # SIGINT is turned into a cancellation by asyncio.run; the other ways to be told to end are treated alike.
    task = asyncio.current_task()
    assert task, "runs in a task"
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stalls = Stalls(as_json=as_json)
    try:
        report = await perform(stalls, keep=keep, everyone=everyone)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        stalls.quiet()
    stalls.end(report)
    return Exit.OK if report.ok else Exit.FAULT


class Stalls:
    """The audience at the terminal: a spinner and tables for a person, one document for a program."""

    def __init__(self, *, as_json: bool) -> None:
        from federation.cli.screen import console

        self._as_json = as_json
        self._console = console(stderr=as_json)
        self._status: Status | None = None
        self._steps = 0

    def say(self, what: str) -> None:
        """Show what is going on."""
        if not self._console.is_terminal:
            self._console.print(f"… {what}")
        elif self._status:
            self._status.update(what)
        else:
            self._status = self._console.status(what)
            self._status.start()

    def tell(self, step: Step) -> None:
        """Show a step that is over."""
        from federation.cli.demo.report import tell_step

        self._steps += 1
        if not self._as_json:
            self.quiet()
            tell_step(self._console, self._steps, step)

    def quiet(self) -> None:
        """Stop the spinner."""
        if self._status:
            self._status.stop()
            self._status = None

    def end(self, report: DemoReport) -> None:
        """Show the verdict."""
        from federation.cli.connection import print_json
        from federation.cli.demo.report import tell_end

        if self._as_json:
            print_json(report)
            return
        tell_end(self._console, report)
