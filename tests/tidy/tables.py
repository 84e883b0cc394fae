"""What the rules know: layers, limits, and every exception with its reason."""

from __future__ import annotations

PACKAGES = ("federation", "operators", "schemas")
CODE = (*PACKAGES, "tests", "examples", "benchmarks", "compose", "docs")
GENERATED = "schemas/gen/"
# The rules themselves have to spell what they look for.
OWN = ("tests/test_tidy.py", "tests/tidy/")

# --- imports ------------------------------------------------------------------------------------------------

# The folders of `federation` that every node runs; operators see nothing else of it.
EVERY_NODE = ("trust", "tokens", "policy", "evidence", "sonata", "node")

# Wired together from everything else; only a cli imports them.
ROOTS = ("federation.anchor.anchor", "federation.broker.broker", "operators.daemon")
CLIS = ("federation.cli", "operators.cli")

# Rules without I/O: they see schemas, each other, and nothing that waits, stores, listens or tells the time.
PURE = (
    "schemas/",
    "federation/broker/authority/asked.py",
    "federation/broker/authority/power.py",
    "federation/broker/discovery/sheet.py",
    "federation/broker/paths/",
    "federation/broker/orders/saga/",
    "federation/broker/spend/",
    "federation/evidence/checkpoint.py",
    "federation/evidence/note.py",
    "federation/evidence/tree.py",
    "federation/evidence/bundle.py",
    "federation/evidence/verify/",
    "federation/evidence/witness.py",
    "federation/policy/cases.py",
    "federation/policy/catalogue.py",
    "federation/policy/clauses.py",
    "federation/policy/context.py",
    "federation/policy/engine.py",
    "federation/policy/facts.py",
    "federation/policy/limits.py",
    "federation/policy/predicate.py",
    "federation/policy/reading.py",
    "federation/policy/values.py",
    "federation/policy/words.py",
    "federation/tokens/access.py",
    "federation/tokens/agent_gate.py",
    "federation/tokens/agents.py",
    "federation/tokens/assertion.py",
    "federation/tokens/brokers.py",
    "federation/tokens/dpop.py",
    "federation/tokens/endpoint.py",
    "federation/tokens/grant.py",
    "federation/tokens/mandate.py",
    "federation/tokens/narrows.py",
    "federation/tokens/reach.py",
    "federation/tokens/refusal.py",
    "federation/tokens/replay.py",
    "federation/trust/belief.py",
    "federation/trust/certificates.py",
    "federation/trust/chain.py",
    "federation/trust/constraints.py",
    "federation/trust/destinations.py",
    "federation/trust/history.py",
    "federation/trust/issue.py",
    "federation/trust/jose.py",
    "federation/trust/keys.py",
    "federation/trust/marks.py",
    "federation/trust/merkle.py",
    "federation/trust/metadata_policy.py",
    "federation/trust/speakers.py",
    "federation/trust/status.py",
    "operators/access/admit.py",
    "operators/access/selling.py",
    "operators/inventory/",
    "operators/orders/fsm.py",
    "operators/pricing/",
)
IMPURE = frozenset(
    "aiohttp asyncio concurrent grpc httpx httpx2 multiprocessing random requests secrets selectors socket "
    "sqlite3 ssl subprocess threading time urllib3 uuid uvicorn".split()
)

# Libraries outside the base install, or slow to import, and the only places that may import them.
HEAVY: dict[str, tuple[str, ...]] = {
    "a2a": ("federation/broker/api/",),
    "cspy": (),
    "mcp": ("federation/broker/api/", "federation/cli/"),
    "networkx": (),
    "numba": ("federation/broker/paths/",),
    "numpy": ("federation/broker/paths/",),
    "reverse_geocode": ("operators/inventory/",),
    "redis": ("federation/broker/store/redis/",),
    "rustworkx": (),
    "scipy": (),
    "starlette": ("federation/broker/api/",),
    "topohub": ("operators/inventory/",),
    "uvicorn": ("federation/broker/api/", "federation/broker/broker.py"),
}

# Modules that nothing imports and that are no entry point, with the reason why they stay.
UNIMPORTED: dict[str, str] = {
    "federation/trust/throwaway.py": "writes domains in folders for the tests",
}

# --- words --------------------------------------------------------------------------------------------------

# The banned word (plurals too) and what the glossary says instead.
WORDS = {
    "booking": "order",
    "circuit": "segment or path",
    "contract": "order or lease",
    "link": "interconnect or segment",
    "reservation": "hold",
}
# Where a banned word has a second meaning of its own: (file or folder, word, reason).
WORDS_ALLOWED = (
    ("benchmarks/caida/", "link", "makes footprints, whose internal stretches are links"),
    ("benchmarks/chain/", "link", "names the internal stretches of footprints"),
    ("docs/glossary.md", "*", "names the words that are not used"),
    ("federation/conformance/", "contract", "contract tests"),
    ("federation/cli/", "link", "reads footprints, whose internal stretches are links"),
    ("operators/catalog/", "link", "an offer is derived from the internal links of its route"),
    ("operators/cli/", "link", "writes footprints, whose internal stretches are links"),
    ("operators/fabric/", "circuit", "the word of the devices that a driver talks to"),
    ("operators/fabric/", "link", "the word of the devices that a driver talks to"),
    ("operators/inventory/", "link", "an internal stretch of a footprint"),
    ("operators/pricing/", "link", "the length of a route is that of its internal links"),
    ("tests/", "link", "footprints are written in tests everywhere"),
    ("tests/contract/", "contract", "contract tests"),
    ("tests/property/test_calendar.py", "link", "claims take bandwidth on internal links"),
    ("tests/support/footprints.py", "link", "an internal stretch of a footprint"),
    ("tests/test_tidy.py", "*", "shows that the rule bites"),
    ("tests/tidy/", "*", "holds this table"),
    ("tests/unit/operators/", "link", "an internal stretch of a footprint"),
)
FOLDERS = frozenset("common core helper helpers lib misc shared util utilities utils".split())

# --- budgets ------------------------------------------------------------------------------------------------

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
PACKAGE_DOCSTRING_LINES = range(3, 9)
# The ratchet: what is over budget may stay, with a reason, and may not grow.
# (lines, reason) by path, or by path::name.
LONG_FILES: dict[str, tuple[int, str]] = {}
LONG_FUNCTIONS: dict[str, tuple[int, str]] = {
    "federation/broker/paths/kernel/ahead.py::advance": (87, "compiled: a call per arc costs too much"),
    "federation/broker/paths/kernel/search.py::search": (105, "compiled: a call per label costs too much"),
}

# --- habits -------------------------------------------------------------------------------------------------

# Time, randomness, threads and sockets come through these; everything else gets them as arguments.
SEAMS = ("federation/node/", "federation/cli/", "operators/cli/")
SEAM_NAMES = frozenset(
    "asyncio.to_thread datetime.date.today datetime.datetime.now datetime.datetime.today "
    "datetime.datetime.utcnow os.getrandom os.urandom time.ctime time.gmtime time.localtime time.monotonic "
    "time.monotonic_ns time.perf_counter time.perf_counter_ns time.process_time time.sleep time.time "
    "time.time_ns uuid.uuid1 uuid.uuid4".split()
)
SEAM_MODULES = frozenset("concurrent multiprocessing random secrets socket threading".split())
# The type of a generator that is handed in with its seed; a comparison that takes equal time for every input.
SEAM_EXEMPT = frozenset({"random.Random", "secrets.compare_digest"})

UNSAFE_MODULES = frozenset("dill marshal pickle shelve".split())
UNSAFE_CALLS = frozenset({"eval", "exec"})
UNVERIFIED = ("jwt.decode", "jwt.decode_complete", "jwt.PyJWT", "jwt.api_jwt")
# Libraries that verify signed documents their own way, and the one primitive under it: for the one verifier alone.
VERIFIER = "federation/trust/jose.py"
JOSE_MODULES = frozenset("authlib jose joserfc jwcrypto jws jwt".split())
JOSE_NAMES = ("cryptography.hazmat.primitives.asymmetric.ec.ECDSA",)
# The one place of the signatures below checkpoints of logs.
NOTES = "federation/evidence/note.py"
NOTE_NAMES = ("cryptography.hazmat.primitives.asymmetric.ed25519",)
