"""For any bytes: no exception but ours, and no work beyond the caps."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from federation.policy.engine import decide, load
from federation.tokens.agents import AgentTokens
from federation.tokens.brokers import BrokerTokens
from federation.tokens.dpop import Nonces, check_proof, normal_url
from federation.tokens.endpoint import Connection, single_valued
from federation.tokens.refusal import TokenRefused
from federation.tokens.replay import Seen
from federation.trust.destinations import Rules, destination, endpoint
from federation.trust.jose import unverified, verify_jws, verify_proof
from federation.trust.keys import b64url
from federation.trust.resolve import FETCHES_MAX
from federation.trust.statements import parse_list
from federation.trust.status import is_set
from schemas.entity import StatusBits
from schemas.problem import Problem
from schemas.token import TYPES
from tests.support import vectors
from tests.support.authority import AGENT, BROKER, OPERATOR, Cast
from tests.support.policies import CONTEXT, everybody, segment
from tests.support.seams import FixedClock
from tests.support.trust_tree import ANCHOR, LEAF, MIDDLE, Tree, resolved, superior

GOLDEN: Final[Mapping[str, dict[str, Any]]] = json.loads(vectors.PATH.read_text())["documents"]
TYPS: Final = sorted(TYPES)
KEYS: Final = {vectors.KEY.kid: vectors.KEY.key.public_key()}
URL: Final = "https://broker.example/oauth/token"
CAST: Final = Cast()
NONCES: Final = Nonces(b"sixteen bytes at least")


def signed(header: bytes, claims: bytes) -> str:
    """A valid signature of a member over any header and claims."""
    signing_input = f"{b64url(header)}.{b64url(claims)}"
    r, s = decode_dss_signature(vectors.KEY.key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def head(typ: str) -> bytes:
    named = {"jwk": vectors.KEY.bare_jwk()} if TYPES[typ].proof else {"kid": vectors.KEY.kid}
    return json.dumps({"alg": "ES256", "typ": typ, **named}).encode()


def _token(typ: str, mode: int, data: bytes) -> str:
    if mode == 0:
        return data.decode("latin-1")
    if mode == 1:
        return signed(head(typ), data)
    header, _, claims = data.partition(b"\x00")
    return signed(header, claims or json.dumps(GOLDEN[typ]["claims"]).encode())


def verify(data: bytes) -> None:
    """One verifier: whatever is inside a token of any typ, also where a member signed it."""
    if len(data) < 2:
        return
    typ = TYPS[data[0] % len(TYPS)]
    token, kind, claims = _token(typ, data[1] % 3, data[2:]), TYPES[typ], GOLDEN[typ]["claims"]
    try:
        unverified(token, kind.claims)
    except Problem as problem:
        _ours(problem)
    try:
        if kind.proof:
            verify_proof(token, kind.claims, now=vectors.NOW)
        else:
            verify_jws(token, kind.claims, KEYS, now=vectors.NOW, iss=claims["iss"], aud=claims.get("aud"))
    except Problem as problem:
        _ours(problem)


def _ours(problem: Problem) -> None:
    """One code, and words that can be written down."""
    assert problem.code == "DOCUMENT_INVALID"
    problem.detail.encode()


def proof(data: bytes) -> None:
    """A proof of a request with any URL, method and nonce."""
    parts = data.split(b"\x00", 3)
    url, method, nonce, body = ([one.decode("latin-1") for one in parts] + [""] * 4)[:4]
    try:
        assert normal_url(normal_url(url)) == normal_url(url)
    except Problem:
        pass
    claims = {"jti": "a" * 16, "htm": method or "POST", "htu": url, "iat": vectors.NOW, "nonce": nonce}
    for token in (body, signed(head("dpop+jwt"), json.dumps(claims).encode())):
        try:
            check_proof(token, method or "POST", URL, now=vectors.NOW, nonces=NONCES)
        except TokenRefused as refusal:
            refusal.reason.encode()
        else:
            raise AssertionError("a proof without a nonce of ours counts")


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("an endpoint waits, though nothing is to be waited for")


def endpoints(data: bytes) -> None:
    """Both token endpoints, for any form, header and certificate."""
    header, _, body = data.partition(b"\x00")
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=16, errors="strict")
        form = single_valued(pairs)
    except (ValueError, TokenRefused):
        return
    shown = header.decode("latin-1")
    agents = AgentTokens(CAST.issuer(BROKER), URL, CAST.keys_of, Seen(), NONCES)
    brokers = BrokerTokens(CAST.issuer(OPERATOR), CAST.keys_of, Seen())
    for answer in (
        finished(agents.answer(form, Connection(proof=shown or None), vectors.NOW)),
        finished(brokers.answer(form, Connection(entity=AGENT, x5t=shown or None), vectors.NOW)),
        finished(brokers.answer(form, Connection(x5t="c" * 43), vectors.NOW)),
    ):
        assert answer.status in {400, 401}
        assert answer.body.keys() == {"error"}


QUESTIONS: Final = (
    ("configuration", LEAF),
    ("configuration", MIDDLE),
    ("configuration", ANCHOR),
    ("statement", MIDDLE, LEAF),
    ("statement", ANCHOR, MIDDLE),
)


def _world() -> Tree:
    tree = Tree(FixedClock())
    tree.add(ANCHOR)
    tree.add(MIDDLE, ANCHOR, metadata=superior(MIDDLE))
    tree.add(LEAF, MIDDLE)
    return tree


TREE: Final = _world()
GENUINE: Final = TREE.chain(LEAF, MIDDLE, ANCHOR)


def _answer(data: bytes) -> str:
    """Garbage; a genuine statement in another place; or claims of anybody's making, signed by the leaf or middle."""
    kind, rest = data[0] % 4, data[1:]
    if kind == 0:
        return rest.decode("latin-1")
    if kind == 1:
        return GENUINE[rest[0] % len(GENUINE)] if rest else ""
    key = TREE.nodes[MIDDLE if kind == 2 else LEAF].key
    header = json.dumps({"alg": "ES256", "typ": "entity-statement+jwt", "kid": key.kid}).encode()
    signing_input = f"{b64url(header)}.{b64url(rest)}"
    r, s = decode_dss_signature(key.key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def resolver(data: bytes) -> None:
    """A chain, where superiors and the entity answer anything: never another entity's, never more than the caps."""
    tree = Tree(FixedClock())
    tree.nodes = TREE.nodes
    for piece in data.split(b"\xff\xff")[:5]:
        if len(piece) > 1:
            tree.replaced[QUESTIONS[piece[0] % len(QUESTIONS)]] = _answer(piece[1:])
    found = resolved(tree)
    assert sum(tree.asked.values()) <= FETCHES_MAX + 1
    assert found.member is None or found.member.path in {(LEAF, MIDDLE, ANCHOR), (LEAF, ANCHOR)}


def outside(data: bytes) -> None:
    """URLs, lists of members and lists of revoked marks."""
    text = data.decode("latin-1")
    rules = Rules()
    for judge in (destination, endpoint):
        try:
            found = judge(text, rules)
        except Problem:
            continue
        assert found.scheme == "https"
        assert found.port in rules.ports
        assert not found.host.replace(".", "").isdigit()
    try:
        assert all(one.startswith("https://") for one in parse_list(data, "https://a.example"))
    except Problem:
        pass
    try:
        is_set(StatusBits(bits=1, lst=b64url(data)), 7)
    except Problem:
        pass


def _told(problem: Problem) -> None:
    assert (problem.code, problem.field) == ("INVALID_ARGUMENT", "policy mine")


def policies(data: bytes) -> None:
    """The text of a policy: it loads or says why not, and never permits what nobody attests."""
    try:
        policy = load("mine", data.decode("latin-1"))
    except Problem as problem:
        _told(problem)
        return
    for subject in everybody():
        verdict = decide(policy, subject, CONTEXT)
        assert verdict.allowed is not bool(verdict.reasons)
    assert not decide(policy, segment(None), CONTEXT).allowed


HARNESSES: Final[Mapping[str, Callable[[bytes], None]]] = {
    "verify": verify,
    "proof": proof,
    "endpoints": endpoints,
    "resolver": resolver,
    "outside": outside,
    "policies": policies,
}
