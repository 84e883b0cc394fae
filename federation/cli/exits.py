"""What each exit status means: stable, so that a script can tell a refusal from a fault."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from schemas.problem import Problem


class Exit(IntEnum):
    """Exit statuses of every `peerway` command."""

    OK = 0
    FAULT = 1
    BAD_INPUT = 2
    NO_PATH = 3
    REFUSED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


MEANING: Final = """\
\b
Exit status:
  0    done
  1    a fault on our side, claims of a demo or cases of a policy that did not hold, or an audit that found something
  2    the input is not valid; the message names the part and shows a right one
  3    no path satisfies every limit
  4    refused: by an operator, by policy, because the state does not allow it, or evidence that does not hold
  5    the broker or an operator does not answer
  130  interrupted
"""
_OF_CODE: Final = {
    "INVALID_ARGUMENT": Exit.BAD_INPUT,
    "PAYLOAD_TOO_LARGE": Exit.BAD_INPUT,
    "NO_FEASIBLE_PATH": Exit.NO_PATH,
    "UNAVAILABLE": Exit.UNREACHABLE,
    "OPERATOR_UNREACHABLE": Exit.UNREACHABLE,
    "INTERNAL": Exit.FAULT,
}

# What the broker calls a part of a request, and where a person wrote it.
OPTION_OF_FIELD: Final = {
    "a": "FROM",
    "z": "TO",
    "start": "--start",
    "end": "--until",
    "currency": "--currency",
    "budget": "--budget",
    "operators_allowed": "--only",
    "operators_denied": "--without",
    "operators_required": "--via",
    "cities_denied": "--avoid-city",
    "sites_denied": "--avoid-site",
    "marks_required": "--mark",
    "policy": "--policy",
    "data_class": "--data-class",
    "boundary": "--boundary",
    "bandwidth_bps": "bandwidth",
    "duration_s": "--for",
    "by_s": "--by",
    "hops": "--hops",
    "objective": "--best",
    "idle_release_s": "--idle-release",
    "answer_within_s": "--answer-within",
    "up_within_s": "--up-within",
    "limits.latency_us": "--latency",
    "limits.jitter_us": "--jitter",
    "limits.loss_ppb": "--loss",
    "limits.availability_ppb": "--availability",
    "limits.carbon_mg_gb": "--carbon",
    "grants": "--grant",
    "Idempotency-Key": "--idempotency-key",
    "route_classes": "--class",
    "sovereignty.countries": "--countries",
    "sovereignty.domicile": "--domicile",
    "sovereignty.parents": "--parents",
}


def option_of(field: str) -> str:
    """The word of the command line for a field of a request; the field itself where there is none."""
    name = field.removeprefix("intent.").partition("[")[0]
    return OPTION_OF_FIELD.get(name, field)


def exit_of(problem: Problem) -> Exit:
    """The exit status of a problem: refused unless the table says otherwise."""
    return _OF_CODE.get(problem.code, Exit.REFUSED)
