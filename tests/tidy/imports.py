"""DESIGN section 7: who may import whom. Function-level imports count."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from tests.tidy.tables import CLIS, EVERY_NODE, HEAVY, IMPURE, PACKAGES, PURE, ROOTS, UNIMPORTED
from tests.tidy.tree import Finding, Import, Source, Tree, under


def layers(tree: Tree) -> Iterator[Finding]:
    """schemas, what every node runs, rules and shells, roots, cli: imports point to the left only."""
    for source in tree.packaged:
        for found in source.imports:
            if found.top in PACKAGES and (reason := layer_broken(source, found)):
                yield source.finding(found.line, f"imports {found.target}: {reason}")


def layer_broken(source: Source, found: Import) -> str:
    """Why an import within the three packages is not allowed, or nothing."""
    here, room = source.package, [*source.module.split("."), ""][1]
    target = [*found.target.split("."), ""]
    if here == "schemas" and found.top != "schemas":
        return "schemas imports neither side"
    if here == "federation" and found.top == "operators":
        return "federation starts operators as processes and never imports them"
    if found.top == "federation" and target[1] not in EVERY_NODE:
        if here == "operators":
            return f"operators import of federation only {', '.join(EVERY_NODE)}"
        if room in EVERY_NODE:
            return "what every node runs imports neither the broker nor another role"
    if within(found.target, CLIS) and not within(source.module, CLIS):
        return "nothing imports a cli"
    if within(found.target, ROOTS) and not within(source.module, CLIS + ROOTS):
        return "only a cli imports a root"
    return ""


def within(name: str, parents: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the parents or lies below one."""
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def pure_rules(tree: Tree) -> Iterator[Finding]:
    """Rules do no I/O: no transport, store, loop, clock or randomness; of ours, only other rules."""
    for source in tree.packaged:
        if not under(source.path, PURE):
            continue
        for found in source.imports:
            if found.top in IMPURE:
                yield source.finding(found.line, f"a pure rule imports {found.target}")
            elif found.top in PACKAGES and not is_pure(tree, found.target):
                yield source.finding(found.line, f"a pure rule imports {found.target}, which is none")


def is_pure(tree: Tree, target: str) -> bool:
    """Whether an import of ours reaches a pure rule. An import that reaches no file is judged by its name."""
    reached = tree.resolve(target)
    path = reached.path if reached and not reached.is_package else target.replace(".", "/") + ".py"
    return under(path, PURE) or under(path.removesuffix(".py") + "/", PURE)


def cycles(tree: Tree) -> Iterator[Finding]:
    """No cycle between folders. Roots stand alone, and what only a type checker reads does not count."""
    graph: dict[str, set[str]] = {}
    for source in tree.packaged:
        for found in source.imports:
            reached = tree.resolve(found.target)
            if (
                reached
                and reached.package in PACKAGES
                and not found.typing_only
                and station(source) != station(reached)
            ):
                graph.setdefault(station(source), set()).add(station(reached))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring = error.args[1][::-1]
        yield Finding(ring[0].replace(".", "/"), 1, f"folders import each other: {' -> '.join(ring)}")


def station(source: Source) -> str:
    """The folder of a file in the graph of folders; a root is a station of its own."""
    return source.module if source.module in ROOTS else source.folder


def heavy(tree: Tree) -> Iterator[Finding]:
    """A library outside the base install is imported only where the table says."""
    for source in tree.packaged:
        for found in source.imports:
            places = HEAVY.get(found.top)
            if places is not None and not found.typing_only and not under(source.path, places):
                yield source.finding(
                    found.line, f"{found.top} may be imported only in {', '.join(places) or 'no place'}"
                )


def unimported(tree: Tree) -> Iterator[Finding]:
    """Every file is imported by another one, is an entry point, or is started by its name (`-m name`)."""
    used = entry_points(tree)
    for source in tree.packaged:
        used |= {
            reached.path
            for found in source.imports
            if (reached := tree.resolve(found.target)) is not source and reached
        }
        strings = (n.value for n in source.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
        used |= {tree.modules[name].path for name in strings if name in tree.modules}
    for source in tree.packaged:
        quiet = source.is_package or source.path.endswith("__main__.py") or source.path in UNIMPORTED
        if not quiet and source.path not in used:
            yield source.finding(1, "nothing imports this file, and it is no entry point")


def entry_points(tree: Tree) -> set[str]:
    """The files that pyproject.toml names as scripts or plugins."""
    project = tomllib.loads(tree.files.get("pyproject.toml", "")).get("project", {})
    groups = [project.get("scripts", {}), *project.get("entry-points", {}).values()]
    names = (value.partition(":")[0] for group in groups for value in group.values())
    return {tree.modules[name].path for name in names if name in tree.modules}
