"""Who is speaking on a connection (pure): a peer's leaf, judged by the authorities of the entity that it names.

TLS is configured with the authorities of every member at once, so to TLS any member's authority may speak for any
other. What counts is decided here, after the handshake, by the authorities of that one entity alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from federation.trust.certificates import (
    Authority,
    Speaker,
    entity_of,
    read_authority,
    read_certificate,
    thumbprint,
    verify_leaf,
)
from federation.trust.chain import TrustDomain
from schemas.problem import Problem

VERDICTS_MAX: Final = 4096
REFUSED_S: Final = 60


class _Verdict(NamedTuple):
    """A speaker, or why there is none; to be used until a Unix second."""

    speaker: Speaker | None
    why: str
    until: int


class Speakers:
    """The authorities that are believed now, and what was found of the leaves seen lately."""

    def __init__(self, authorities: Iterable[Authority] = ()) -> None:
        self._verdicts: OrderedDict[str, _Verdict] = OrderedDict()
        self.authorities: Mapping[str, Authority] = MappingProxyType({})
        self.believe(authorities)

    def believe(self, authorities: Iterable[Authority]) -> bool:
        """Believe these and no others from now on; whether that changed anything."""
        found = {one.entity: one for one in authorities}
        changed = found != dict(self.authorities)
        if changed:
            self.authorities = MappingProxyType(found)
            self._verdicts.clear()
        return changed

    def judge(self, leaf: bytes, now: int) -> Speaker:
        """Who speaks with this leaf (DER). Raises `UNAUTHENTICATED`; its detail is for the audit record, not for peers.

        A leaf is verified once and remembered by its hash, at most until it expires.
        """
        name = thumbprint(leaf)
        verdict = self._verdicts.get(name)
        if verdict is None or verdict.until <= now:
            verdict = self._verify(leaf, now)
            self._remember(name, verdict)
        if verdict.speaker is None:
            raise Problem("UNAUTHENTICATED", verdict.why)
        return verdict.speaker

    def _verify(self, leaf: bytes, now: int) -> _Verdict:
        try:
            certificate = read_certificate(leaf)
            issuers = self.authorities.get(entity_of(certificate))
            if issuers is None:
                raise Problem("DOCUMENT_INVALID", "the certificate names no member that is believed")
            speaker = verify_leaf(certificate, issuers, now)
        except Problem as problem:
            return _Verdict(None, problem.detail, now + REFUSED_S)
        return _Verdict(speaker, "", speaker.exp)

    def _remember(self, name: str, verdict: _Verdict) -> None:
        self._verdicts[name] = verdict
        self._verdicts.move_to_end(name)
        if len(self._verdicts) > VERDICTS_MAX:
            self._verdicts.popitem(last=False)


def authorities_of(domain: TrustDomain, now: int) -> tuple[tuple[Authority, ...], Mapping[str, str]]:
    """The authorities of every verified member that names any, and why a member's are not believed.

    One bad certificate leaves its member without any, and nobody else.
    """
    found, rejected = [], {}
    for entity, member in sorted(domain.members.items()):
        if member.tls_ca and member.exp > now:
            try:
                named = tuple(dict.fromkeys(member.tls_ca))  # a member of two roles names the same ones twice
                found.append(read_authority(entity, named, now=now, exp=member.exp))
            except Problem as problem:
                rejected[entity] = problem.detail
    return tuple(found), MappingProxyType(rejected)
