"""`make bench-trust`: what proof and authority cost, beside the bare primitive of the same run.

Every operation is timed in turn with one bare ES256 verify of an order's bytes, in one process, by processor time, so
that a slow or busy machine changes both alike; medians over the rounds. Writes benchmarks/out/trust.json.

make bench-trust
make bench-trust ARGS="--rounds 5 --profile admission"
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from statistics import median
from time import perf_counter, process_time
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.caida.publish import OUT
from benchmarks.figures import Bar
from benchmarks.run import say, table, write
from federation.tokens.access import Call, verify_access, verify_call
from federation.tokens.dpop import check_proof, make_proof
from federation.tokens.grant import verify_grant
from federation.tokens.mandate import verify_mandate
from federation.tokens.narrows import narrows
from federation.tokens.replay import Seen
from federation.trust.chain import Member, TrustDomain
from federation.trust.jose import doc_hash, sign_jws, verify_jws
from federation.trust.keys import thumbprint
from operators.access.admit import Caller
from schemas.access import AccessToken, Confirmation
from schemas.entity import BrokerMetadata, Jwks, Metadata
from schemas.lease import State
from schemas.order import Order, Receipt
from schemas.quote import SegmentQuote
from tests.support.admission import SEGMENT, X5T, Gatehouse, operator_authority
from tests.support.authority import AGENT, BROKER, OPERATOR, Cast
from tests.support.seams import NOW

TRUST: Final = OUT / "trust.json"
FLOOR: Final = "ES256 verify, bare"
BARS: Final[Mapping[str, tuple[str, Bar]]] = {
    "admission_vs_verify": ("admission of an order", Bar(True, 8, "all checks of one order / one bare ES256 verify")),
    "cached_chain_vs_verify": (
        "chain, verified before",
        Bar(True, 0.05, "a member of the trust domain / one bare ES256 verify"),
    ),
}
MEMBERS: Final = 1000
URL: Final = f"{BROKER}/peerway/v1/orders"

Work = Callable[[], object]


def subjects() -> dict[str, Work]:
    """Every operation by name; the floor first."""
    house = Gatehouse()
    rfq, quote, order, receipt = purchase(house)
    return {FLOOR: bare(house.cast, order)} | verifying(house, rfq, quote, order, receipt) | authority(house.cast)


def purchase(house: Gatehouse) -> tuple[str, str, str, str]:
    """An rfq under an endpoint grant, the quote for it, the order and its receipt, as they go over the wire."""
    rfq = house.rfq((house.cast.grant(),))
    held = house.held(rfq)
    order = house.order(held)
    receipt = Receipt(
        iss=OPERATOR, sub=held.quote.sub, aud=BROKER, iat=NOW, exp=NOW + 86400, jti="r" * 22, order_h=doc_hash(order),
        quote_h=held.quote_h, prev_h=None, product="product-1", state=State.UP, segment=SEGMENT, confirm_by=NOW + 60,
    )  # fmt: skip
    key = house.cast.keys[OPERATOR]
    return rfq, sign_jws(key, held.quote), order, sign_jws(key, receipt)


def bare(cast: Cast, token: str) -> Work:
    """The primitive alone: no parsing, no claim, the signature in the form that the library likes best."""
    message = token.rpartition(".")[0].encode()
    key, algorithm = cast.keys[BROKER].key, ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(message, algorithm), key.public_key()
    return lambda: public.verify(signature, message, algorithm)


def verifying(house: Gatehouse, rfq: str, quote: str, order: str, receipt: str) -> dict[str, Work]:
    """Documents, and the whole admission at an operator."""
    cast, admission, caller = house.cast, house.admission, Caller(BROKER, X5T)
    broker, operator = cast.keys_of(BROKER), cast.keys_of(OPERATOR)
    domain = TrustDomain({f"https://m{n}.example": member(f"https://m{n}.example", house) for n in range(MEMBERS)})
    order_shown = house.shown(order)
    order_claims = verify_jws(order, Order, broker, now=NOW, iss=BROKER, aud=OPERATOR)
    bound = Confirmation(x5t=X5T)
    grant = cast.grant()
    rfq_shown = house.shown(house.rfq((grant,)), grants=(grant,))
    token = house.token()
    return {
        "admission of an order": lambda: admission.order(order_shown, caller, house.held_quotes.get, NOW),
        "admission of an rfq with a grant": lambda: admission.rfq(rfq_shown, caller, NOW),
        "chain, verified before": lambda: domain.member("https://m7.example", NOW),
        "order": lambda: verify_jws(order, Order, broker, now=NOW, iss=BROKER, aud=OPERATOR),
        "segment quote": lambda: verify_jws(quote, SegmentQuote, operator, now=NOW, iss=OPERATOR, aud=BROKER),
        "receipt": lambda: verify_jws(receipt, Receipt, operator, now=NOW, iss=OPERATOR, aud=BROKER),
        "order, signing": lambda: sign_jws(cast.keys[BROKER], order_claims),
        "hash of an order": lambda: doc_hash(order),
        "at+jwt, at an operator": lambda: verify_access(token, operator, me=OPERATOR, bound=bound, now=NOW),
        "at+jwt, signing": house.token,
    }


def member(entity: str, house: Gatehouse) -> Member:
    """One of the members among which the chain is looked up."""
    key = house.cast.keys[BROKER]
    role = BrokerMetadata(endpoint=entity, jwks=Jwks((key.jwk(),)))
    return Member(entity, entity, Metadata(connectivity_broker=role), house.cast.keys_of(BROKER), NOW + 86400)


def authority(cast: Cast) -> dict[str, Work]:
    """Mandates, grants, proofs and what goes with them."""
    agent, mandate, grant = cast.keys[AGENT], cast.mandate(), cast.grant()
    parent, child = operator_authority(depth=2), operator_authority(depth=1)
    token = agent_token(cast)
    proof = make_proof(agent, "POST", URL, now=NOW, jti="j" * 22, token=token)
    call, keys = Call(f"DPoP {token}", proof, "POST", URL), cast.keys_of(BROKER)
    seen, ids = Seen(), iter(range(10**9))
    x, y = agent.bare_jwk()["x"], agent.bare_jwk()["y"]
    return {
        "mandate": lambda: verify_mandate(mandate, cast.keys_of, broker=BROKER, now=NOW),
        "endpoint grant": lambda: verify_grant(grant, cast.keys_of, operator=OPERATOR, now=NOW),
        "narrows": lambda: narrows(child, parent),
        "DPoP proof": lambda: check_proof(proof, "POST", URL, now=NOW, token=token),
        "DPoP proof, signing": lambda: make_proof(agent, "POST", URL, now=NOW, jti="j" * 22, token=token),
        "an agent's call: proof and at+jwt": lambda: verify_call(call, keys, me=BROKER, now=NOW),
        "replay filter, in memory": lambda: seen.add("dpop", "me", str(next(ids)), until=NOW, now=NOW + next(ids)),
        "thumbprint": lambda: thumbprint(x, y),
    }


def agent_token(cast: Cast) -> str:
    """An agent's access token at its broker."""
    claims = AccessToken(
        iss=BROKER, sub="https://buyer.example", aud=BROKER, iat=NOW, exp=NOW + 300, jti="j" * 22, client_id=AGENT,
        authorization_details=(operator_authority(),), cnf=Confirmation(jkt=cast.keys[AGENT].kid), txn="txn-1",
        mandate_h="m" * 43,
    )  # fmt: skip
    return sign_jws(cast.keys[BROKER], claims)


def timed(works: Mapping[str, Work], rounds: int, batch_s: float, clock: Callable[[], float]) -> dict[str, float]:
    """Microseconds per call: all in turn, in each round as many calls as fill `batch_s`; the median of the rounds."""
    counts = {name: calibrated(work, batch_s, clock) for name, work in works.items()}
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            spent[name].append(once(work, counts[name], clock) / counts[name])
    return {name: median(seconds) * 1e6 for name, seconds in spent.items()}


def calibrated(work: Work, batch_s: float, clock: Callable[[], float]) -> int:
    """How many calls take about `batch_s`; at least one."""
    count = 1
    while (took := once(work, count, clock)) < batch_s / 4:
        count *= 4
    return max(1, round(count * batch_s / max(took, 1e-9)))


def once(work: Work, count: int, clock: Callable[[], float]) -> float:
    """Seconds for `count` calls."""
    began = clock()
    for _ in range(count):
        work()
    return clock() - began


def figures(us: Mapping[str, float]) -> dict[str, dict[str, object]]:
    """The figures that have a bar."""
    found: dict[str, dict[str, object]] = {}
    for name, (operation, bar) in BARS.items():
        value = us[operation] / us[FLOOR]
        said = {"unit": "ratio", "bar": str(bar), "ok": bar.kept(value), "compares": bar.said}
        found[name] = {"value": value, **said}
    return found


def tell(us: Mapping[str, float], clock: str) -> None:
    """Tables for a person, and the file."""
    rows = [("operation", "us", "/ bare verify")]
    table("Per operation", [*rows, *((name, f"{value:.1f}", f"{value / us[FLOOR]:.3g}") for name, value in us.items())])
    reached = figures(us)
    lines = [
        (name, f"{one['value']:.3g}", str(one["bar"]), "ok" if one["ok"] else "MISSED") for name, one in reached.items()
    ]
    table("Figures", [("figure", "value", "bar", ""), *lines])
    versions = {name: version(name) for name in ("cryptography", "pyjwt", "msgspec")}
    rounded = {name: round(value, 2) for name, value in us.items()}
    write(TRUST, {"figures": reached, "us": rounded, "clock": clock, "versions": versions})


def profile(work: Work) -> None:
    """Where one operation spends its time."""
    profiler = cProfile.Profile()
    profiler.enable()
    once(work, 2000, perf_counter)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main(arguments: Sequence[str]) -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(prog="make bench-trust ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="times that every operation has its turn")
    parser.add_argument("--batch-ms", type=float, default=40, help="how long one turn lasts")
    parser.add_argument(
        "--clock", choices=("cpu", "wall"), default="cpu", help="processor time of this process, or all"
    )
    parser.add_argument("--profile", metavar="NAME", help="profile the operations whose names begin so")
    options = parser.parse_args(arguments)
    works = subjects()
    if options.profile:
        for name in (name for name in works if name.startswith(options.profile)):
            say(name)
            profile(works[name])
        return
    clock = process_time if options.clock == "cpu" else perf_counter
    tell(timed(works, options.rounds, options.batch_ms / 1000, clock), options.clock)


if __name__ == "__main__":
    main(sys.argv[1:])
