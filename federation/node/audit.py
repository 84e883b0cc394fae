"""What callers are not told, kept for the node's owner: a record of refusals, bounded in size and without secrets.

A caller that is refused learns that it was, and a reference. Which check refused it stands beside that reference in
`audit.jsonl`, one JSON object a line. Long tokens are cut out of reasons, a caller that is refused again and again is
written down a few times a second and counted beyond that, and full files are rotated away.
"""

from __future__ import annotations

import logging
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import msgspec

from federation.node.limits import Buckets, Rate
from federation.node.seams import Clock, Entropy
from schemas.problem import Problem, invalid

FILE: Final = "audit.jsonl"
FILE_BYTES_MAX: Final = 8 * 1024 * 1024
FILES_MAX: Final = 4
TEXT_CHARS_MAX: Final = 200
CALLERS_MAX: Final = 1024
RATE: Final = Rate(per_second=5, burst=20)
STRANGER: Final = "-"
# What a caller reads instead of the reason: one sentence a code, whichever check it was.
VEILED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UNAUTHENTICATED": "the caller is not known here",
        "POLICY_DENIED": "this is not allowed",
        "DOCUMENT_INVALID": "a signed document is not accepted",
    }
)
_SECRET: Final = re.compile(r"[A-Za-z0-9+_=\-]{24,}")
_CONTROL: Final = re.compile(r"[^ -~]")
log = logging.getLogger(__name__)


class Audit:
    """The record of one node. Close it, or use it as a context."""

    def __init__(self, folder: Path, clock: Clock, entropy: Entropy, *, bytes_max: int = FILE_BYTES_MAX) -> None:
        self._clock, self._entropy = clock, entropy
        self._buckets = Buckets(RATE, callers_max=CALLERS_MAX)
        self._untold: OrderedDict[str, int] = OrderedDict()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = _Rotating(folder / FILE, maxBytes=bytes_max, backupCount=FILES_MAX - 1, encoding="ascii")
        except OSError as error:
            raise invalid(str(folder / FILE), f"cannot be written ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def refused(self, problem: Problem, *, caller: str, act: str) -> Problem:
        """Write a refusal down, and give what its caller may see. What is not veiled comes back as it is.

        `caller` is a verified entity id, or `STRANGER`; `act` is the method and route, never a whole URL.
        """
        if problem.code not in VEILED:
            return problem
        return veil(problem, self.note(problem, caller=caller, act=act))

    def note(self, problem: Problem, *, caller: str, act: str) -> str:
        """Write a refusal down whose caller sees it in another form; gives its reference."""
        ref = self._entropy.token()
        why = getattr(problem, "reason", problem.detail)  # a refused token says one thing to callers, another here
        self._write(caller, {"act": act, "code": problem.code, "field": problem.field, "why": why, "ref": ref})
        return ref

    def _write(self, caller: str, what: Mapping[str, str | None]) -> None:
        if self._buckets.take(caller, self._clock.now_us()):
            self._untold[caller] = self._untold.pop(caller, 0) + 1
            if len(self._untold) > CALLERS_MAX:
                self._untold.popitem(last=False)
            return
        line: dict[str, Any] = {"at": self._clock.now(), "caller": _CONTROL.sub("?", caller)[:TEXT_CHARS_MAX]}
        line |= {key: plain(text) for key, text in what.items() if text is not None}
        if untold := self._untold.pop(caller, 0):
            line["untold"] = untold
        text = msgspec.json.encode(line).decode("ascii")
        self._file.emit(logging.makeLogRecord({"msg": text}))


class _Rotating(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        """Only the owner reads who was refused, and why."""
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(fd, "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a method of logging
        """A disk that is full stops no call; the node's log says so."""
        log.warning("the audit record cannot be written")


def veil(problem: Problem, ref: str) -> Problem:
    """The same code with a sentence that is the same for every reason, and the reference of the audit record."""
    return Problem(
        problem.code,
        VEILED[problem.code],
        outcome=problem.outcome,
        retry_after_s=problem.retry_after_s,
        extra={"ref": ref},
    )


def plain(text: str) -> str:
    """A reason fit for a record: printable ASCII of bounded length, with everything that may be a secret cut out."""
    return _CONTROL.sub("?", _SECRET.sub(_cut, text[: 4 * TEXT_CHARS_MAX]))[:TEXT_CHARS_MAX]


def _cut(found: re.Match[str]) -> str:
    return f"[{len(found[0])} characters]"
