"""How a command ends that cannot do what it was told: with one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from schemas.problem import Problem


class Refused(click.ClickException):
    """An operating error at the command line: one sentence, exit status 2."""

    exit_code = 2


@contextmanager
def refusing() -> Iterator[None]:
    """Operating errors leave as one sentence."""
    try:
        yield
    except Problem as problem:
        raise Refused(str(problem)) from None
