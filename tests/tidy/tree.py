"""The files a rule looks at, read and parsed once."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.tidy.tables import CODE, GENERATED, PACKAGES


@dataclass(frozen=True)
class Finding:
    """One offence, printed so that an editor can jump to it."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Import:
    """One imported name in full: `from a.b import c` is `a.b.c`, whether c is a module or not."""

    target: str
    line: int
    typing_only: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree: several rules look at all of them."""
        return list(ast.walk(self.tree))

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @property
    def folder(self) -> str:
        """The dotted name of the package the file lies in."""
        return self.path.rpartition("/")[0].replace("/", ".")

    @property
    def module(self) -> str:
        return self.folder if self.is_package else self.path.removesuffix(".py").replace("/", ".")

    @property
    def package(self) -> str:
        """The first folder, for example `federation`."""
        return self.path.partition("/")[0]

    @cached_property
    def imports(self) -> list[Import]:
        """Every import, also those inside functions and by `importlib.import_module("...")`."""
        typing_only = {id(n) for block in type_checking_blocks(self.nodes) for n in ast.walk(block)}
        return [
            Import(target, node.lineno, id(node) in typing_only)
            for node in self.nodes
            if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
            for target in import_targets(node, self.folder)
        ]

    def finding(self, line: int, message: str) -> Finding:
        return Finding(self.path, line, message)


def type_checking_blocks(nodes: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """The statements under `if TYPE_CHECKING:`, which never run."""
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from node.body


def import_targets(node: ast.Import | ast.ImportFrom | ast.Call, folder: str) -> Iterator[str]:
    """The full names that one statement or call imports."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            parts = folder.split(".")
            base = parts[: len(parts) - level + 1] if level else []
            prefix = ".".join([*base, *([module] if module else [])])
            yield from (prefix if alias.name == "*" else f"{prefix}.{alias.name}" for alias in names)
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
            if ast.unparse(func) in {"__import__", "import_module", "importlib.import_module"}:
                yield name


class Tree:
    """The text files under `root`: what git knows or would add, or simply all where there is no git."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {path: text for path in sorted(self._paths()) if (text := read_text(root / path)) is not None}

    def _paths(self) -> Iterator[str]:
        if (self.root / ".git").exists():
            command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listed = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True)
            yield from filter(None, listed.stdout.split("\0"))
            return
        for path in self.root.rglob("*"):
            relative = path.relative_to(self.root)
            if not any(part == "__pycache__" or part.startswith(".venv") for part in relative.parts):
                yield relative.as_posix()

    @cached_property
    def sources(self) -> list[Source]:
        """Hand-written Python, ours and that of tests, examples and the like."""
        python = (Source(path, text) for path, text in self.files.items() if path.endswith(".py"))
        return [source for source in python if not source.path.startswith(GENERATED) and source.package in CODE]

    @property
    def packaged(self) -> list[Source]:
        """The sources of the three packages."""
        return [source for source in self.sources if source.package in PACKAGES]

    @cached_property
    def modules(self) -> dict[str, Source]:
        return {source.module: source for source in self.sources}

    def resolve(self, target: str) -> Source | None:
        """The file that an import reaches: the module itself, or the one that a name was taken from."""
        while target:
            if target in self.modules:
                return self.modules[target]
            target = target.rpartition(".")[0]
        return None

    def documents(self, *suffixes: str) -> Iterator[tuple[str, str]]:
        return ((path, text) for path, text in self.files.items() if path.endswith(suffixes))


Rule = Callable[[Tree], Iterator[Finding]]


def read_text(path: Path) -> str | None:
    """The text of a file, or None for a folder, a file gone meanwhile, or bytes that are no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def under(path: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a path is one of the files, or lies in one of the folders (which end with a slash)."""
    return any(path == prefix or (prefix.endswith("/") and path.startswith(prefix)) for prefix in prefixes)
