"""The entry point of `peerway`: finds a command, runs it, and turns every failure into one clear answer.

Commands are imported when they are called, so that `peerway --help` needs nothing but click.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

import click

from federation.cli.exits import MEANING, Exit, exit_of, option_of
from schemas.problem import Outcome, Problem

DEBUG: Final = "PEERWAY_DEBUG"


class Command(NamedTuple):
    """Where a command lives, and what it does in a line."""

    module: str
    name: str
    about: str


COMMANDS: Final = {
    "search": Command("federation.cli.search", "search", "Candidate paths between two places; nothing is held."),
    "quote": Command("federation.cli.quote", "quote", "A firm price, held at every operator for seconds."),
    "order": Command("federation.cli.order", "order", "Turn a quote into a lease."),
    "show": Command("federation.cli.order", "show", "An order or a quote as it stands."),
    "orders": Command("federation.cli.order", "orders", "Your orders, the latest first."),
    "extend": Command("federation.cli.order", "extend", "Make a lease last longer."),
    "resize": Command("federation.cli.order", "resize", "Give a lease another bandwidth."),
    "heartbeat": Command("federation.cli.order", "heartbeat", "Say that you still want a lease."),
    "release": Command("federation.cli.order", "release", "End a lease and get its bill."),
    "statement": Command("federation.cli.statement", "statement", "What an order came to, signed."),
    "audit": Command("federation.cli.audit", "audit", "Whether operators keep anything that you no longer have."),
    "measure": Command("federation.cli.order", "measure", "Hold a measured latency against what was promised."),
    "federation": Command("federation.cli.federation", "federation", "The operators that the broker knows."),
    "trust": Command("federation.cli.trust", "trust", "Who is trusted, and why or why not."),
    "anchor": Command("federation.cli.anchor", "anchor", "Keep a trust domain: enrol, mark, revoke, rotate, serve."),
    "auditor": Command("federation.cli.auditor", "auditor", "Attest facts about operators and brokers."),
    "keys": Command("federation.cli.keys", "keys", "Make and replace the keys of a node."),
    "mandate": Command("federation.cli.mandate", "mandate", "Sign and revoke mandates: what an agent may do for you."),
    "policy": Command("federation.cli.policy", "policy", "Where data may go: write, test, explain and sign policies."),
    "evidence": Command("federation.cli.evidence", "evidence", "What proves an order to a stranger, as a file."),
    "verify": Command("federation.cli.verify", "verify", "Whether evidence of a purchase holds, with no network."),
    "grant": Command("federation.cli.grant", "grant", "Let somebody connect at a UNI of yours."),
    "mcp": Command("federation.cli.mcp", "mcp", "Serve an agent over standard input and output (MCP)."),
    "demo": Command("federation.cli.demo.command", "demo", "Fifteen real networks on this machine, one purchase."),
    "broker": Command("federation.cli.broker", "broker", "Run a broker, look after it, or print a configuration."),
}


class LazyGroup(click.Group):
    """Knows its commands by the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table, which is that of a purchase."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        found = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(found.module), found.name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for, or which was meant."""
        if args and args[0] not in COMMANDS and (meant := get_close_matches(args[0], COMMANDS, n=1)):
            ctx.fail(f"No such command '{args[0]}'. Did you mean {meant[0]}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List without importing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.about) for name, command in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=MEANING, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="peerway")
def peerway() -> None:
    """One order, many networks: buy a path across operators, for as long as you need it.

    \b
    A broker is found by --broker or PEERWAY_BROKER (default http://127.0.0.1:8700).
    You act under a mandate (--mandate, --agent-key; PEERWAY_MANDATE, PEERWAY_AGENT_KEY),
    or on loopback with a key (--key, PEERWAY_KEY). To see it all at work: peerway demo
    """


def main() -> None:
    """Run with the arguments of this process, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit status. No traceback reaches a user."""
    try:
        result = peerway.main(args=list(arguments), prog_name="peerway", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of our output is gone, as after `| head` (click and rich make an exit of it): nothing is left to
        # say, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except BaseException as error:  # noqa: BLE001 - the last place that can answer for the process
        return _explain(error, as_json="--json" in arguments)
    return result if isinstance(result, int) else Exit.OK


def _explain(error: BaseException, *, as_json: bool) -> int:
    problem = _find(error)
    if problem is None:
        if os.environ.get(DEBUG):
            raise error
        name = type(error).__name__
        problem = Problem("INTERNAL", f"an unexpected fault ({name}); set {DEBUG}=1 and repeat to see where")
    if as_json:
        sys.stderr.write(json.dumps(problem.as_dict(), default=str) + "\n")
    else:
        part = option_of(problem.field) if problem.field else None
        sys.stderr.write(f"peerway: {part}: {problem.detail}\n" if part else f"peerway: {problem.detail}\n")
        if problem.outcome in {Outcome.UNKNOWN, Outcome.PENDING}:
            sys.stderr.write("The outcome is not known yet; `peerway orders` shows what came of it.\n")
    return exit_of(problem)


def _find(error: BaseException) -> Problem | None:
    """The problem behind an error, also where task groups wrapped it."""
    if isinstance(error, BaseExceptionGroup):
        found = [_find(one) for one in error.exceptions]
        return next((one for one in found if one), None)
    return error if isinstance(error, Problem) else None


if __name__ == "__main__":
    main()
