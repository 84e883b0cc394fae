"""DESIGN section 1: one word per meaning, in names, strings, comments, documents and agreements."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.tidy.tables import FOLDERS, GENERATED, WORDS, WORDS_ALLOWED
from tests.tidy.tree import Finding, Source, Tree, under

PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# "contract test" is the one use of that word; a header field keeps the name that HTTP gave it.
CONTRACT_TEST = re.compile(r"\bcontract[ _-]tests?\b|\btests/contract\b", re.IGNORECASE)
NAMING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.arg, ast.Name, ast.Attribute, ast.Constant)
AGREEMENTS = (".proto", ".yaml", ".yml", ".toml")
NOT_PROSE = re.compile(r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)|<?https?://\S+", re.MULTILINE | re.DOTALL)


def words(tree: Tree) -> Iterator[Finding]:
    """No banned word where we choose the words."""
    for source in tree.sources:
        yield from judge(source.path, python_words(source))
    for path, text in tree.documents(".md"):
        prose = NOT_PROSE.sub(lambda match: "\n" * match[0].count("\n"), text)
        yield from judge(path, enumerate(prose.splitlines(), 1))
    for path, text in tree.documents(*AGREEMENTS):
        if not path.startswith(GENERATED):
            yield from judge(path, enumerate(text.splitlines(), 1))


def judge(path: str, texts: Iterator[tuple[int, str]] | enumerate[str]) -> Iterator[Finding]:
    """A finding for every banned word in numbered texts of one file."""
    numbered = list(texts)
    if not suspicious("\n".join(text for _, text in numbered)):
        return
    for line, word in sorted({(line, word) for line, text in numbered for word in banned_in(text)}):
        if not any(under(path, (place,)) and allowed in {word, "*"} for place, allowed, _ in WORDS_ALLOWED):
            yield Finding(path, line, f"says '{word}'; our word is {WORDS[word]}")


def suspicious(text: str) -> bool:
    """Whether any banned word is in a text, if only inside another: most hold none."""
    lower = text.lower()
    return any(word in lower for word in WORDS)


def banned_in(text: str) -> set[str]:
    """The banned words in a text or an identifier, in the singular."""
    parts = (part.lower() for part in PART.findall(CONTRACT_TEST.sub("", text)))
    return {word for part in parts for word in (part, part.removesuffix("s")) if word in WORDS}


def python_words(source: Source) -> Iterator[tuple[int, str]]:
    """The names that a file gives (not those it uses of others), its strings and its comments."""
    for node in (node for node in source.nodes if isinstance(node, NAMING)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Constant(value=str(text)):
                yield node.lineno, text
    if not any("#" in line and suspicious(line) for line in source.text.split("\n")):
        return  # reading tokens takes longer than all the rest, and no comment can hold a banned word here
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def folders(tree: Tree) -> Iterator[Finding]:
    """A folder, and a module, is one noun of the trade: never a drawer."""
    for source in tree.sources:
        for part in PurePosixPath(source.path).with_suffix("").parts:
            if part in FOLDERS:
                yield source.finding(1, f"'{part}' says nothing about what is inside; name the noun")
