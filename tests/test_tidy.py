"""The repository keeps its own rules, and every rule is shown to bite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.tidy import budgets, documents, habits, imports, words
from tests.tidy.tree import Rule, Tree

ROOT = Path(__file__).resolve().parents[1]
RULES: tuple[Rule, ...] = (
    imports.layers,
    imports.pure_rules,
    imports.cycles,
    imports.heavy,
    imports.unimported,
    words.words,
    words.folders,
    budgets.file_length,
    budgets.function_length,
    habits.package_docstrings,
    habits.public_docstrings,
    habits.seams,
    habits.one_verifier,
    habits.one_place_for_signatures,
    habits.unsafe,
    habits.finished,
    documents.one_title,
    documents.references,
    documents.anywhere,
)

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 70
WAIT = "import asyncio\nasync def f(loop):\n    await loop.run_in_executor(None, f)\n"
LATE = "def f():\n    import operators.daemon\n"
PACKAGE = '"""One.\n\ntwo\nthree\n"""\n'

# rule, a small bad tree, and where the rule must point.
BITES: tuple[tuple[Rule, dict[str, str], str], ...] = (
    (imports.layers, {"schemas/price.py": "from federation.trust import jose"}, "schemas/price.py:1"),
    (imports.layers, {"federation/cli/run.py": "\n" + LATE}, "federation/cli/run.py:3"),
    (
        imports.layers,
        {"federation/node/a.py": "import importlib\nimportlib.import_module('operators.x')"},
        "a.py:2",
    ),
    (imports.layers, {"operators/api/mesh.py": "from federation.broker.paths import search"}, "mesh.py:1"),
    (imports.layers, {"operators/api/mesh.py": "from federation import client"}, "mesh.py:1"),
    (imports.layers, {"federation/sonata/hub.py": "import federation.broker.peers"}, "hub.py:1"),
    (imports.layers, {"federation/client/http.py": "from federation.cli import render"}, "http.py:1"),
    (imports.layers, {"operators/api/mesh.py": "from operators.daemon import Daemon"}, "mesh.py:1"),
    (imports.layers, {"federation/broker/api/http.py": "from ..broker import Broker"}, "http.py:1"),
    (
        imports.pure_rules,
        {"operators/pricing/quote.py": "def f():\n    from time import monotonic"},
        "quote.py:2",
    ),
    (imports.pure_rules, {"schemas/price.py": "import asyncio"}, "price.py:1"),
    (imports.pure_rules, {"operators/orders/fsm.py": "from federation.node import clock"}, "fsm.py:1"),
    (
        imports.pure_rules,
        {"federation/broker/orders/saga/decide.py": "from federation.sonata import states"},
        "decide.py:1",
    ),
    (imports.pure_rules, {"federation/trust/chain.py": "import federation.trust.egress"}, "chain.py:1"),
    (
        imports.cycles,
        {
            "federation/broker/peers/a.py": "from federation.broker.store import b",
            "federation/broker/store/b.py": "def f():\n    from federation.broker.peers.a import f",
        },
        "folders import each other: federation.broker.",
    ),
    (imports.heavy, {"operators/api/mesh.py": "import numpy as np"}, "mesh.py:1"),
    (imports.heavy, {"federation/cli/main.py": "from uvicorn import Server"}, "main.py:1"),
    (imports.unimported, {"operators/pricing/quote.py": "import schemas"}, "quote.py:1"),
    (words.words, {"schemas/a.py": "class PathReservation: ..."}, "a.py:1: says 'reservation'"),
    (words.words, {"operators/store/a.py": "def f(link_id): ..."}, "a.py:1: says 'link'"),
    (words.words, {"schemas/a.py": "x = 'no such booking'"}, "a.py:1: says 'booking'"),
    (words.words, {"schemas/a.py": "x = 1\n# the contracts of both"}, "a.py:2: says 'contract'"),
    (words.words, {"docs/a.md": "# A\n\n```\nlink\n```\nA circuit."}, "docs/a.md:6: says 'circuit'"),
    (words.words, {"schemas/proto/a.proto": "message Circuit {}"}, "a.proto:1"),
    (words.folders, {"operators/utils/a.py": ""}, "operators/utils/a.py:1"),
    (words.folders, {"federation/broker/helpers.py": ""}, "helpers.py:1"),
    (budgets.file_length, {"tests/a.py": "x = 1\n" * 501}, "501 lines, 500 allowed"),
    (budgets.function_length, {"operators/a.py": LONG_FUNCTION}, "operators/a.py::f:1: 71 lines, 70 allowed"),
    (habits.package_docstrings, {"operators/a.py": ""}, "operators:1: a folder with modules needs"),
    (habits.package_docstrings, {"operators/__init__.py": '"""Short."""'}, "1 lines"),
    (habits.package_docstrings, {"operators/__init__.py": PACKAGE + "import os"}, "holds no code"),
    (habits.public_docstrings, {"operators/a.py": "def _f(): ...\n\ndef g(): ..."}, "a.py:3: g"),
    (
        habits.public_docstrings,
        {"operators/a.py": "class A(Protocol):\n '''A.'''\n def f(self): ..."},
        "a.py:3: f",
    ),
    (habits.seams, {"operators/a.py": "from time import time as t\nx = t()"}, "a.py:2: time.time"),
    (
        habits.seams,
        {"operators/a.py": "import datetime as d\nf = d.datetime.now"},
        "a.py:2: datetime.datetime.now",
    ),
    (habits.seams, {"operators/a.py": "import random\nx = random.random()"}, "a.py:2"),
    (habits.seams, {"operators/a.py": "from uuid import uuid4\nx = uuid4()"}, "a.py:2"),
    (habits.seams, {"operators/a.py": WAIT}, "a.py:3"),
    (habits.one_verifier, {"tests/a.py": "import jwt\njwt.decode(b'')"}, "tests/a.py:2"),
    (habits.one_verifier, {"operators/a.py": "from jwt import decode as d\nd(b'')"}, "a.py:2"),
    (
        habits.one_place_for_signatures,
        {"operators/a.py": "def f():\n    from jwt.algorithms import ECAlgorithm"},
        "a.py:2",
    ),
    (habits.one_place_for_signatures, {"operators/a.py": "import joserfc.jws"}, "a.py:1"),
    (
        habits.one_place_for_signatures,
        {"operators/a.py": "from cryptography.hazmat.primitives.asymmetric import ec\nx = ec.ECDSA(0)"},
        "a.py:2",
    ),
    (
        habits.one_place_for_signatures,
        {"operators/a.py": "import cryptography.hazmat.primitives.asymmetric.ed25519 as e\nx = e.Ed25519PrivateKey"},
        "a.py:2",
    ),
    (habits.unsafe, {"tests/a.py": "def f():\n    import pickle"}, "a.py:2"),
    (habits.unsafe, {"operators/a.py": "eval('1')"}, "a.py:1"),
    (habits.finished, {"Makefile": "# FIXME"}, "Makefile:1"),
    (documents.one_title, {"docs/a.md": "# A\n```\n# not one\n```\n# B"}, "2 first-level headings"),
    (documents.one_title, {"docs/a.md": "## A"}, "0 first-level headings"),
    (documents.references, {"docs/a.md": "[x](b.md)"}, "refers to b.md"),
    (documents.references, {"docs/a.md": "[x](../../b.md)"}, "refers to ../../b.md"),
    (documents.anywhere, {"a.lock": "--index-url https://example.org"}, "a.lock:1"),
    (documents.anywhere, {"a.toml": "x = '/home/me/src'"}, "a.toml:1"),
)

# What lies close to an offence and is none.
PASSES: tuple[tuple[Rule, dict[str, str]], ...] = (
    (
        imports.layers,
        {"operators/api/mesh.py": "from federation.trust.jose import sign\nimport schemas.price"},
    ),
    (
        imports.layers,
        {"operators/cli/main.py": "from operators.daemon import Daemon\nfrom operators.cli import a"},
    ),
    (imports.layers, {"tests/a.py": "import operators.daemon\nimport federation.broker.broker"}),
    (
        imports.pure_rules,
        {"operators/inventory/route.py": "from federation.trust import merkle\nimport heapq"},
    ),
    (imports.pure_rules, {"operators/pricing/a.py": "from operators.inventory.route import Route"}),
    (imports.pure_rules, {"operators/store/a.py": "import sqlite3"}),
    (
        imports.cycles,
        {
            "federation/broker/broker.py": "import federation.broker.api.http",
            "federation/broker/api/http.py": "import federation.broker.limits",
            "federation/broker/limits.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import federation.broker.api.http",
        },
    ),
    (imports.heavy, {"operators/inventory/source.py": "import topohub"}),
    (
        imports.unimported,
        {
            "pyproject.toml": "[project.scripts]\npeerway = 'federation.cli.main:main'",
            "federation/cli/main.py": "from federation.cli import render\nargv = ['federation.cli.worker']",
            "federation/cli/render.py": "",
            "federation/cli/worker.py": "",
        },
    ),
    (words.words, {"operators/a.py": "import os\nos.link('a', 'b')  # a contract test, a symlink, unlinked"}),
    (words.words, {"operators/inventory/a.py": "links = 1"}),
    (words.words, {"docs/a.md": "# A\n\n`Link` as a header, [it](docs/link.md)"}),
    (words.words, {"schemas/gen/a.py": "link = 1"}),
    (budgets.function_length, {"operators/a.py": LONG_FUNCTION.removesuffix("    x = 1\n")}),
    (habits.package_docstrings, {"operators/__init__.py": PACKAGE}),
    (habits.public_docstrings, {"operators/a.py": "class A:\n '''A.'''\n def f(self): ..."}),
    (
        habits.seams,
        {"operators/a.py": "import random, datetime\ndef f(rng: random.Random, t: datetime.datetime): ..."},
    ),
    (habits.seams, {"federation/node/clock.py": "import time\nx = time.time()"}),
    (habits.one_verifier, {"operators/a.py": "import json\njson.decode"}),
    (habits.one_place_for_signatures, {"federation/trust/jose.py": "import jwt"}),
    (habits.unsafe, {"operators/a.py": "re.compile('x')\nmodel.eval()"}),
    (documents.one_title, {"docs/a.md": "# A\n\n```console\n# comment\n```\n## B"}),
    (documents.references, {"docs/a.md": "[x](https://example.org/a.md) [y](#z) [z](a.md#x)"}),
    (documents.anywhere, {"Dockerfile": "WORKDIR /srv/peerway"}),
)


def grown(root: Path, files: Mapping[str, str]) -> Tree:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return Tree(root)


def named(cases: Iterable[tuple[Rule, ...] | tuple[object, ...]]) -> list[str]:
    return [getattr(case[0], "__name__", "?") for case in cases]


@pytest.fixture(scope="module")
def repository() -> Tree:
    return Tree(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule: Rule, repository: Tree) -> None:
    assert [str(finding) for finding in rule(repository)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_empty_tree_is_tidy(rule: Rule, tmp_path: Path) -> None:
    assert list(rule(Tree(tmp_path))) == []


@pytest.mark.parametrize(("rule", "files", "expected"), BITES, ids=named(BITES))
def test_the_rule_bites(rule: Rule, files: dict[str, str], expected: str, tmp_path: Path) -> None:
    findings = [str(finding) for finding in rule(grown(tmp_path, files))]
    assert len(findings) == 1
    assert expected in findings[0]


@pytest.mark.parametrize(("rule", "files"), PASSES, ids=named(PASSES))
def test_the_rule_lets_pass(rule: Rule, files: dict[str, str], tmp_path: Path) -> None:
    assert [str(finding) for finding in rule(grown(tmp_path, files))] == []


def test_every_rule_is_shown_to_bite() -> None:
    assert {rule for rule, *_ in BITES} == set(RULES)


def test_the_ratchet_allows_no_growth_and_no_stale_entry(tmp_path: Path) -> None:
    tree = grown(tmp_path, {"operators/a.py": LONG_FUNCTION, "operators/b.py": "x = 1\n" * 510})
    functions = {"operators/a.py::f": (71, "a table")}
    assert list(budgets.function_length(tree, functions)) == []
    assert list(budgets.file_length(tree, {"operators/b.py": (510, "a table")})) == []
    assert len(list(budgets.file_length(tree, {"operators/b.py": (509, "a table")}))) == 1
    (stale,) = budgets.file_length(grown(tmp_path, {"operators/b.py": "x = 1\n"}), {"operators/b.py": (510, "a table")})
    assert "drop its entry" in stale.message
