"""Hashes, key ids and ids on the command line: one in 64 begins with a dash, and is no option for that."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import click

NAME: Final = re.compile(r"-[A-Za-z0-9_-]{21}(?:[A-Za-z0-9_-]{21})?")  # 128 or 256 bits of base64url, after a dash
MASK: Final = "\0"  # no argument of a process holds it
Parsed = tuple[dict[str, Any], list[str], list[click.Parameter]]


class NamesCommand(click.Command):
    """A command with arguments that may be names: what looks like one and is no option of it is an argument."""

    def make_parser(self, ctx: click.Context) -> Any:
        """The parser, which reads names without seeing their dash."""
        parser: Any = super().make_parser(ctx)
        options = {name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)}
        parser.parse_args = _masking(parser.parse_args, options)
        return parser


def _masking(parse: Callable[[list[str]], Parsed], options: set[str]) -> Callable[[list[str]], Parsed]:
    """`parse`, with names hidden from it, and given back in what it found."""

    def masked(args: list[str]) -> Parsed:
        hidden = [MASK + one if NAME.fullmatch(one) and one not in options else one for one in args]
        found, left, order = parse(hidden)
        return {name: _shown(value) for name, value in found.items()}, [_shown(one) for one in left], order

    return masked


def _shown(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_shown, value))
    return value.removeprefix(MASK) if isinstance(value, str) else value
