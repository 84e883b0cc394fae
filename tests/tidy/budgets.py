"""Length: functions to be read at once, files that are one thing. The ratchet lets nothing grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from tests.tidy.tables import FILE_LINES_MAX, FUNCTION_LINES_MAX, LONG_FILES, LONG_FUNCTIONS
from tests.tidy.tree import Finding, Source, Tree

Ratchet = Mapping[str, tuple[int, str]]


def file_length(tree: Tree, ratchet: Ratchet = LONG_FILES) -> Iterator[Finding]:
    """No file over the budget, and no entry of the ratchet that is no longer needed."""
    lengths = {source.path: source.text.count("\n") for source in tree.sources}
    yield from over(lengths, FILE_LINES_MAX, ratchet)


def function_length(tree: Tree, ratchet: Ratchet = LONG_FUNCTIONS) -> Iterator[Finding]:
    """No function over the budget, decorators and docstring included."""
    lengths = {name: lines for source in tree.sources for name, lines in functions(source)}
    yield from over(lengths, FUNCTION_LINES_MAX, ratchet)


def functions(source: Source) -> Iterator[tuple[str, int]]:
    """Every function as `path::name` with its lines; the longest of a name counts."""
    found: dict[str, int] = {}
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            key = f"{source.path}::{node.name}"
            found[key] = max(found.get(key, 0), (node.end_lineno or start) - start + 1)
    yield from found.items()


def over(lengths: Mapping[str, int], limit: int, ratchet: Ratchet) -> Iterator[Finding]:
    """Findings for what is too long, and for ratchet entries that are spent."""
    for name, lines in lengths.items():
        allowed = ratchet.get(name, (limit, ""))[0]
        if lines > allowed:
            yield Finding(name, 1, f"{lines} lines, {allowed} allowed")
    files = {name.partition("::")[0] for name in lengths}
    for name in ratchet:
        if name.partition("::")[0] in files and lengths.get(name, 0) <= limit:
            yield Finding(name, 1, f"fits into {limit} lines or is gone: drop its entry from the ratchet")
