"""What a buyer and the owner of a UNI sign on their own machines: mandates, policies and endpoint grants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from federation.client.agent import Agent
from federation.node.seams import Clock, SystemClock, SystemEntropy
from federation.trust.jose import sign_jws
from federation.trust.keys import PrivateKey
from federation.trust.keyset import load_key_set
from schemas.access import AGENT_TOKEN_LIFE_S
from schemas.authority import AUTHORITY_TYPE, Authority, Spend
from schemas.decision import POLICY_LIFE_S, Policy
from schemas.grant import GRANT_LIFE_S, EndpointGrant
from schemas.jurisdiction import expand
from schemas.mandate import MANDATE_LIFE_S, AgentKey, Mandate
from schemas.price import Money
from schemas.problem import invalid
from schemas.segment import window

DEPTH: Final = 3  # the agent's token, what the broker passes on, the operator's token
AFTERWARDS_S: Final = 30 * 86400  # so long after the time to order an agent can still end what it ordered


def sign_mandate(
    key: Path,
    *,
    buyer: str,
    broker: str,
    agent: str,
    agent_kid: str,
    total: Money,
    per_order_micro: int,
    until: int,
    limits: Mapping[str, Any],
    clock: Clock | None = None,
) -> str:
    """A mandate, valid from now. Raises `Problem` naming what is wrong."""
    now = (clock or SystemClock()).now()
    if not now < until <= now + MANDATE_LIFE_S:
        raise invalid("--until", "must lie between now and a year from now")
    authority = _authority(limits, Spend(
        ccy=total.currency, per_order_micro=per_order_micro, total_micro=total.micro, until=until
    ))  # fmt: skip
    claims = Mandate(
        iss=buyer,
        sub=agent,
        aud=broker,
        iat=now,
        exp=min(until + AFTERWARDS_S, now + MANDATE_LIFE_S),
        jti=SystemEntropy().token(),
        cnf=AgentKey(agent_kid),
        authorization_details=(authority,),
    )
    return sign_jws(_key(key), _checked(claims))


def buyer_itself(key: Path, *, buyer: str, broker: str) -> Agent:
    """The buyer acting with its own key, under a mandate for that key that allows no deed and ends in some minutes:
    enough to see, and to revoke. Raises `Problem`."""
    now, own = SystemClock().now(), _key(key)
    nothing = Authority(
        type=AUTHORITY_TYPE,
        actions=(),
        max_bandwidth_bps=1,
        spend=Spend(ccy="EUR", per_order_micro=0, total_micro=0, until=now),
        max_hops=1,
        depth=DEPTH,
    )
    claims = Mandate(
        iss=buyer,
        sub=buyer,
        aud=broker,
        iat=now,
        exp=now + AGENT_TOKEN_LIFE_S,
        jti=SystemEntropy().token(),
        cnf=AgentKey(own.kid),
        authorization_details=(nothing,),
    )
    return Agent(own, sign_jws(own, _checked(claims)))


def sign_policy(key: Path, *, buyer: str, name: str, cedar: str, until: int) -> str:
    """A buyer's own policy, valid from now. Raises `Problem`."""
    now = SystemClock().now()
    if not now < until <= now + POLICY_LIFE_S:
        raise invalid("--until", "must lie between now and five years from now")
    claims = Policy(iss=buyer, iat=now, exp=until, name=name, cedar=cedar)
    return sign_jws(_key(key), _checked(claims))


def sign_grant(
    key: Path,
    *,
    owner: str,
    operator: str,
    uni: str,
    whom: tuple[str, str | None],
    bps: int,
    ends: tuple[int | None, int],
) -> str:
    """An endpoint grant, valid from now until leases under it must have ended. `whom` is a broker, or a buyer's
    pseudonym and its broker. Raises `Problem`."""
    now = SystemClock().now()
    start, until = now if ends[0] is None else ends[0], ends[1]
    if not start < until <= now + GRANT_LIFE_S:
        raise invalid("--until", "must be later than the start and within a year from now")
    claims = EndpointGrant(
        iss=owner,
        sub=whom[0],
        via=whom[1],
        aud=operator,
        iat=now,
        exp=until,
        jti=SystemEntropy().token(),
        uni=uni,
        bandwidth_bps=bps,
        window=window(start, until),
    )
    return sign_jws(_key(key), _checked(claims))


def _authority(limits: Mapping[str, Any], spend: Spend) -> Authority:
    countries = limits["countries"]
    found: Authority = _read(
        {
            "type": AUTHORITY_TYPE,
            "actions": limits["actions"],
            "locations": limits["operators"],
            "max_bandwidth_bps": limits["bandwidth"],
            "jurisdictions": None if countries is None else sorted(expand(countries, "--countries")),
            "excluded_regimes": limits["without_regimes"] or (),
            "required_marks": limits["marks"] or (),
            "spend": msgspec.to_builtins(spend),
            "max_hops": limits["hops"],
            "depth": DEPTH,
        },
        Authority,
    )
    return found


def _checked(claims: msgspec.Struct) -> msgspec.Struct:
    """The same claims, as strict as whoever verifies them."""
    found: msgspec.Struct = _read(msgspec.to_builtins(claims), type(claims))
    return found


def _read(claims: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(claims, kind)
    except msgspec.ValidationError as error:
        names: dict[type[Any], str] = {EndpointGrant: "grant", Policy: "policy"}
        raise invalid(names.get(kind, "mandate"), str(error)) from error


def _key(path: Path) -> PrivateKey:
    try:
        return load_key_set(path.read_bytes(), str(path)).signer
    except OSError as error:
        raise invalid(str(path), f"cannot be read ({error.strerror}); make one with: peerway keys new FILE") from error
