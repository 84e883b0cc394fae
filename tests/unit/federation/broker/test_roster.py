"""Who may be dealt with: one member that cannot be keeps no other away."""

from __future__ import annotations

from typing import Any

import pytest

from federation.broker.peers.token_source import token_endpoint
from federation.broker.roster import Roster
from federation.trust.chain import Member, TrustDomain
from schemas.entity import Jwks, Metadata, OperatorMetadata
from schemas.problem import Problem

BAD, GOOD = "https://a-bad.example", "https://good.example"


def operator(entity: str, sonata: str = "https://op.example/mefApi/sonata", **more: Any) -> Member:
    role = OperatorMetadata(
        sonata_endpoint=sonata, mesh_endpoint="op.example:443", documents_endpoint="", jwks=Jwks(()), **more
    )
    return Member(entity, entity, Metadata(connectivity_operator=role), {}, 0)


def test_a_member_that_cannot_be_dealt_with_keeps_no_other_away() -> None:
    made: list[str] = []

    def make(member: Member, account: str) -> Any:
        if member.entity == BAD and not made:
            raise Problem("NOT_FOUND", f"{BAD} is no member of this trust domain")
        made.append(member.entity)
        return member.entity

    roster = Roster(make, ())
    domain = TrustDomain({entity: operator(entity) for entity in (BAD, GOOD)})
    roster.follow(domain)
    assert list(roster.present) == [GOOD]
    roster.follow(domain)
    assert set(roster.present) == {BAD, GOOD}, "it is tried again whenever anything has changed"


def test_where_an_operator_gives_tokens() -> None:
    role = operator(GOOD).metadata.connectivity_operator
    named = operator(GOOD, token_endpoint="https://op.example/token").metadata.connectivity_operator
    assert token_endpoint(GOOD, role) == "https://op.example/oauth/token"
    assert token_endpoint(GOOD, named) == "https://op.example/token"
    with pytest.raises(Problem) as found:
        token_endpoint(BAD, operator(BAD, "https://[").metadata.connectivity_operator)
    assert found.value.code == "OPERATOR_UNREACHABLE"
    with pytest.raises(Problem):
        token_endpoint(BAD, None)
