"""An operator's token endpoint: a broker shows who it is and what it was given, and gets a token for here (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.tokens.access import Holder, Issuer, issue_access
from federation.tokens.assertion import verify_assertion, verify_delegation
from federation.tokens.endpoint import (
    CLIENT_ASSERTION,
    Connection,
    TokenAnswer,
    assertion_of,
    bound_to_certificate,
    granted,
    refused,
)
from federation.tokens.mandate import KeysOf
from federation.tokens.narrows import passed_on
from federation.tokens.refusal import TokenRefused
from federation.tokens.replay import Replay
from schemas.access import OPERATOR_TOKEN_LIFE_S, ClientAssertion, DelegationGrant
from schemas.problem import Problem
from schemas.segment import EntityId

ASSERTION_ROLE: Final = "client"
GRANT_ROLE: Final = "delegation"


class BrokerTokens:
    """Implements `TokenEndpoint` for one operator."""

    def __init__(self, issuer: Issuer, keys_of: KeysOf, replay: Replay) -> None:
        self._issuer, self._keys_of, self._replay = issuer, keys_of, replay

    async def answer(self, form: Mapping[str, str], connection: Connection, now: int) -> TokenAnswer:
        """A token bound to the broker's certificate, for what the broker was given or less."""
        try:
            return await self._answer(form, connection, now)
        except TokenRefused as refusal:
            return refused(refusal)

    async def _answer(self, form: Mapping[str, str], connection: Connection, now: int) -> TokenAnswer:
        """(1) form (2) who speaks, by certificate and, where given, assertion (3) the grant (4) not seen before."""
        presented, bound, me = assertion_of(form), bound_to_certificate(connection), self._issuer.entity
        client, asserted = self._client(form, connection, now)
        grant = verify_delegation(presented, self._keys_of, client=client, me=me, now=now)
        try:
            authority = passed_on(grant.authorization_details[0])
        except Problem as problem:
            raise TokenRefused("invalid_authorization_details", problem.detail) from problem
        await self._once(asserted, grant, now)
        holder = Holder(client, grant.sub, bound, grant.act)
        life_s = min(OPERATOR_TOKEN_LIFE_S, authority.spend.until - now)
        token = issue_access(
            self._issuer, holder, authority, mandate_h=grant.mandate_h, txn=grant.txn, now=now, life_s=life_s
        )
        return granted(token, "Bearer", life_s, authority)  # RFC 8705: the binding is in the token, not in its type

    def _client(
        self, form: Mapping[str, str], connection: Connection, now: int
    ) -> tuple[EntityId, ClientAssertion | None]:
        """Who speaks. Certificate and assertion must agree; either is enough, for the certificate is bound anyway."""
        asserted = None
        if "client_assertion" in form:
            if form.get("client_assertion_type") != CLIENT_ASSERTION:
                raise TokenRefused("invalid_client", "client_assertion_type is not that of a JWT")
            asserted = verify_assertion(form["client_assertion"], self._keys_of, me=self._issuer.entity, now=now)
        proven = {connection.entity, asserted.iss if asserted else None} - {None}
        if len(proven | {form.get("client_id")} - {None}) != 1 or not proven:
            raise TokenRefused("invalid_client", "certificate, assertion and client_id do not name one client")
        return connection.entity or (asserted.iss if asserted else ""), asserted

    async def _once(self, asserted: ClientAssertion | None, grant: DelegationGrant, now: int) -> None:
        if asserted is not None and not await self._first(ASSERTION_ROLE, asserted, now):
            raise TokenRefused("invalid_client", "the client assertion was used before")
        if not await self._first(GRANT_ROLE, grant, now):
            raise TokenRefused("invalid_grant", "the grant was used before")

    async def _first(self, role: str, shown: ClientAssertion | DelegationGrant, now: int) -> bool:
        return await self._replay.first(role, shown.iss, shown.jti, until=shown.exp, now=now)
