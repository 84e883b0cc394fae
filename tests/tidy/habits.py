"""How the code is written: docstrings, seams, and calls that have no place here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidy.tables import (
    JOSE_MODULES,
    JOSE_NAMES,
    NOTE_NAMES,
    NOTES,
    OWN,
    PACKAGE_DOCSTRING_LINES,
    SEAM_EXEMPT,
    SEAM_MODULES,
    SEAM_NAMES,
    SEAMS,
    UNSAFE_CALLS,
    UNSAFE_MODULES,
    UNVERIFIED,
    VERIFIER,
)
from tests.tidy.tree import Finding, Source, Tree, under

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
UNFINISHED = re.compile(r"\b(TODO|FIXME)\b")


def package_docstrings(tree: Tree) -> Iterator[Finding]:
    """A package introduces its actors in a few lines, and its `__init__` does nothing else."""
    present = {source.folder for source in tree.packaged if source.is_package}
    for folder in sorted({source.folder for source in tree.packaged} - present):
        yield Finding(folder.replace(".", "/"), 1, "a folder with modules needs an __init__.py")
    for source in tree.packaged:
        if not source.is_package:
            continue
        lines = [line for line in (ast.get_docstring(source.tree) or "").splitlines() if line.strip()]
        if len(lines) not in PACKAGE_DOCSTRING_LINES:
            low, high = PACKAGE_DOCSTRING_LINES[0], PACKAGE_DOCSTRING_LINES[-1]
            yield source.finding(1, f"the docstring has {len(lines)} lines; {low} to {high} name the actors")
        if code := [node for node in source.tree.body if not isinstance(node, ast.Expr)]:
            yield source.finding(code[0].lineno, "a package file holds no code")


def public_docstrings(tree: Tree) -> Iterator[Finding]:
    """Every public class and function says what it is; so does every method of a Protocol."""
    for source in tree.packaged:
        for node in public(source.tree.body):
            if not ast.get_docstring(node):
                yield source.finding(node.lineno, f"{node.name} has no docstring")


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """The public definitions of a module, and the methods of its Protocols."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
                yield from public(node.body)


def seams(tree: Tree) -> Iterator[Finding]:
    """Time, randomness, threads and sockets are arguments: a simulator must be able to replace them."""
    for source in tree.packaged:
        if under(source.path, SEAMS):
            continue
        for line, name in names_used(source):
            banned = name in SEAM_NAMES or name.partition(".")[0] in SEAM_MODULES or name.endswith(".run_in_executor")
            if banned and name not in SEAM_EXEMPT:
                yield source.finding(line, f"{name} belongs behind a seam of federation/node; take it as an argument")


def one_verifier(tree: Tree) -> Iterator[Finding]:
    """Signatures are checked by `verify_jws` of federation/trust, never by a library's all-in-one call."""
    for source in tree.sources:
        for line, name in names_used(source):
            if name.startswith(UNVERIFIED):
                yield source.finding(line, f"{name}: use verify_jws of federation/trust")


def one_place_for_signatures(tree: Tree) -> Iterator[Finding]:
    """Of our packages only the one verifier sees a JOSE library, or signs and verifies with a bare key; only the notes
    of logs use Ed25519."""
    for source in tree.packaged:
        if source.path == VERIFIER:
            continue
        for found in source.imports:
            if found.top in JOSE_MODULES:
                yield source.finding(found.line, f"imports {found.target}: sign and verify in {VERIFIER}")
        for line, name in names_used(source):
            if name.startswith(JOSE_NAMES):
                yield source.finding(line, f"{name}: sign and verify in {VERIFIER}")
            elif name.startswith(NOTE_NAMES) and source.path != NOTES:
                yield source.finding(line, f"{name}: sign and verify notes in {NOTES}")


def unsafe(tree: Tree) -> Iterator[Finding]:
    """Nothing runs code or builds objects from data."""
    for source in tree.sources:
        for found in source.imports:
            if found.top in UNSAFE_MODULES:
                yield source.finding(found.line, f"imports {found.top}")
        for node in source.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
                yield source.finding(node.lineno, f"calls {node.func.id}")


def finished(tree: Tree) -> Iterator[Finding]:
    """What is missing is an issue, not a note in a file."""
    for path, text in tree.files.items():
        if under(path, OWN):
            continue
        for line, content in enumerate(text.splitlines(), 1):
            if found := UNFINISHED.search(content):
                yield Finding(path, line, f"says {found[0]}")


def names_used(source: Source) -> Iterator[tuple[int, str]]:
    """Every name of another module that a file uses, in full and under its own name."""
    known = local_names(source.nodes)
    inner = {id(node.value) for node in source.nodes if isinstance(node, ast.Attribute)}
    for node in source.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            head, dot, rest = dotted(node).partition(".")
            if head in known:
                yield node.lineno, f"{known[head]}{dot}{rest}"
            elif rest.endswith("run_in_executor"):
                yield node.lineno, f"{head}.{rest}"


def local_names(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """What each imported name stands for in this file."""
    known: dict[str, str] = {}
    for node in nodes:
        match node:
            case ast.Import(names=names):
                known |= {
                    a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                    for a in names
                }
            case ast.ImportFrom(module=str(module), names=names, level=0):
                known |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
    return known


def dotted(node: ast.expr) -> str:
    """`a.b.c` for such an expression; what is in front of a call or an index is a question mark."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
