"""Console sessions shown in a document, and whether what a command prints now is of the same kind.

A session is a fenced `console` block: `$ command` lines (a trailing backslash continues on the next line), each
followed by what it printed. A line `...` stands for any number of lines. Two outputs are of one kind when their
lines are equal after numbers, hashes, times and spacing are taken out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

ELISION = "..."
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n?", re.MULTILINE)
# In this order: a time holds numbers, and so may a hash.
VARYING = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"(?<![\w-])[A-Za-z0-9_-]{22}(?![\w-])"), "<hash>"),  # an id of ours may have no digit
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}"), "<hash>"),
    (re.compile(r"\d+(?:[.,' ]\d+)*"), "<n>"),
    (re.compile(r"[─━═-]{3,}"), "<rule>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Example:
    """One command of a document and the lines shown after it."""

    line: int
    command: str
    output: str


def examples(document: str) -> Iterator[Example]:
    """Every command in the `console` blocks of a document, in order."""
    for block in BLOCK.finditer(document):
        found = list(COMMAND.finditer(block[1]))
        ends = [*(match.start() for match in found[1:]), len(block[1])]
        for match, end in zip(found, ends, strict=True):
            line = document.count("\n", 0, block.start(1) + match.start()) + 1
            command = re.sub(r"\\\n(?:> )?\s*", "", match[1]).strip()
            yield Example(line, command, block[1][match.end() : end])


def kind(output: str) -> list[str]:
    """The lines of an output without what differs from run to run; empty lines do not count."""
    lines = output.splitlines()
    for pattern, name in VARYING:
        lines = [pattern.sub(name, line) for line in lines]
    return [line.strip() for line in lines if line.strip()]


def difference(shown: str, printed: str) -> str:
    """How the kinds of two outputs differ, as a unified diff; empty when they do not."""
    expected, actual = kind(shown), kind(printed)
    if fits(expected, actual):
        return ""
    return "\n".join(difflib.unified_diff(expected, actual, "shown", "printed", lineterm=""))


def fits(expected: list[str], actual: list[str]) -> bool:
    """Whether lines are those expected, an elision standing for any number of them."""
    if not expected:
        return not actual
    if expected[0] == ELISION:
        return any(fits(expected[1:], actual[start:]) for start in range(len(actual) + 1))
    return bool(actual) and expected[0] == actual[0] and fits(expected[1:], actual[1:])
