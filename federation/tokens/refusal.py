"""Why a token, a proof or a request for a token is refused, with the error code of the standards."""

from __future__ import annotations

from typing import Final

from schemas.problem import Problem

# RFC 6749 section 5.2, RFC 9396 section 5, RFC 9449 sections 5 and 8, RFC 6750 section 3.1.
ERRORS: Final = frozenset(
    "invalid_request invalid_client invalid_grant unsupported_grant_type invalid_authorization_details "
    "invalid_dpop_proof use_dpop_nonce invalid_token".split()
)


class TokenRefused(Problem):
    """A refusal. Callers see `error`, one of `ERRORS`, and one sentence for all; `reason` is for the local record."""

    def __init__(self, error: str, reason: str) -> None:
        assert error in ERRORS, error
        super().__init__("UNAUTHENTICATED", "the request does not prove that you may make it")
        self.error = error
        self.reason = reason
