"""One title, no dead reference, and nothing that holds on one machine only."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.tables import OWN
from tests.tidy.tree import Finding, Tree, under

FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")
# Hosts and switches that name where packages or images come from, and folders of one machine.
ELSEWHERE = re.compile(
    r"\bpypi\.org|pythonhosted\.org|registry\.npmjs|\bcrates\.io|\b(?:docker|ghcr|quay)\.io/"
    r"|--(?:extra-)?index-url|--find-links|(?:^|[\s\"'=(:])/(?:root|home/\w+|Users/\w+)/",
    re.MULTILINE,
)


def one_title(tree: Tree) -> Iterator[Finding]:
    """Each document has exactly one first-level heading."""
    for path, text in tree.documents(".md"):
        titles = re.findall(r"^# .+", FENCED.sub("", text), re.MULTILINE)
        if len(titles) != 1:
            yield Finding(path, 1, f"{len(titles)} first-level headings; a document has one")


def references(tree: Tree) -> Iterator[Finding]:
    """A relative reference in a document leads to a file of this repository."""
    for path, text in tree.documents(".md"):
        for target in TARGET.findall(FENCED.sub("", text)):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            if found.startswith("..") or not (tree.root / found).exists():
                yield Finding(path, 1, f"refers to {target}, which is not in this repository")


def anywhere(tree: Tree) -> Iterator[Finding]:
    """No file names a registry or a path of one machine, this one included."""
    here = {str(place) for place in (tree.root.resolve(), Path.home()) if len(place.parts) > 2}
    for path, text in tree.files.items():
        if under(path, OWN):
            continue
        for line, content in enumerate(text.splitlines(), 1):
            found = ELSEWHERE.search(content)
            said = found[0].strip() if found else next((place for place in here if place in content), None)
            if said:
                yield Finding(path, line, f"names {said}, which holds on one machine or one registry only")
