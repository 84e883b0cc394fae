"""What is remembered of keys ends with them: those of a file that is replaced, and those that are published no more."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from federation.tokens.access import Holder, Issuer, issue_access
from federation.trust.jose import claimed_kid, sign_jws, verify_jws, verify_proof
from federation.trust.keys import PublicKey, b64url, generate
from federation.trust.keyset import KeySet, PresentKey
from schemas.access import AccessToken, Confirmation, DpopProof
from schemas.order import Confirm
from schemas.problem import Problem
from tests.support.authority import AUTHORITY
from tests.support.seams import NOW

ME, BROKER = "https://surf.example", "https://broker.example"
HASH = "a" * 43
JTI = "j" * 22
BOUND = Confirmation(jkt=HASH)
CONFIRM = Confirm(
    iss=BROKER,
    sub="buyer",
    aud=ME,
    iat=NOW,
    exp=NOW + 60,
    jti=JTI,
    order_h=HASH,
    prev_h=HASH,
    path_root=HASH,
    product="p-1",
)
PROOF = DpopProof(jti=JTI, htm="POST", htu=ME, iat=NOW)


def issued(key: PresentKey) -> str:
    """A token that its bearer shows with request after request."""
    holder = Holder(client="agent", subject="buyer", bound=BOUND)
    return issue_access(Issuer(ME, key, lambda: JTI), holder, AUTHORITY, mandate_h=HASH, txn="t-1", now=NOW, life_s=60)


def shown(token: str, keys: Mapping[str, PublicKey], *, me: str = ME, now: int = NOW) -> AccessToken:
    return verify_jws(token, AccessToken, keys, now=now, iss=me, aud=me)


def test_a_signer_whose_file_is_replaced_names_and_brings_the_key_that_it_signs_with() -> None:
    first, second = generate(), generate()
    signer = PresentKey(KeySet((first,)))
    for key in (first, second, first):
        signer.follow(KeySet((key,)))
        document = sign_jws(signer, CONFIRM)
        assert claimed_kid(document) == key.kid
        assert verify_jws(document, Confirm, key.verifiers(), now=NOW, iss=BROKER, aud=ME) == CONFIRM
        assert verify_proof(sign_jws(signer, PROOF), DpopProof, now=NOW) == (PROOF, key.kid)


def test_a_token_that_verified_is_refused_at_once_when_its_key_is_gone() -> None:
    first, second = generate(), generate()
    signer = PresentKey(KeySet((first,)))
    token, keys = issued(signer), signer.verifiers()
    for _ in range(2):
        assert shown(token, keys).iss == ME
    signer.follow(KeySet((second, first)))
    assert shown(token, keys).iss == ME
    signer.follow(KeySet((second,)))
    for _ in range(2):
        with pytest.raises(Problem, match="kid names no key"):
            shown(token, keys)
    assert shown(issued(signer), keys).iss == ME


def test_a_token_that_one_key_verified_is_not_believed_of_another_of_that_name() -> None:
    first, second = generate(), generate()
    token = issued(PresentKey(KeySet((first,))))
    keys = dict(first.verifiers())
    assert shown(token, keys).iss == ME
    keys[first.kid] = second.key.public_key()
    with pytest.raises(Problem, match="does not verify"):
        shown(token, keys)


def test_a_token_that_verified_is_judged_again_by_time_receiver_and_signature() -> None:
    key = PresentKey(KeySet((generate(),)))
    token, keys = issued(key), key.verifiers()
    found = shown(token, keys)
    forged = f"{token.rpartition('.')[0]}.{b64url(bytes(64))}"
    for one, me, now, why in (
        (token, ME, NOW + 60, "expired"),
        (token, BROKER, NOW, "iss"),
        (forged, ME, NOW, "does not verify"),
    ):
        with pytest.raises(Problem, match=why):
            shown(one, keys, me=me, now=now)
    assert shown(token, keys) == found
