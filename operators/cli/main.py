"""The command group; each command lives in its own module and is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "serve": "operators.cli.serve",
    "sample": "operators.cli.serve",
    "footprint": "operators.cli.footprint",
    "approvals": "operators.cli.approvals",
    "audit": "operators.cli.audit",
}


class LazyGroup(click.Group):
    """A group whose commands are attributes of the same name in modules that are imported late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None for an unknown name."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(module), cmd_name)
        assert isinstance(command, click.Command), f"{module}.{cmd_name} is no command"
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="peerway")
def main() -> None:
    """Run a network operator of the Peerway federation."""


if __name__ == "__main__":
    main()
