"""Sonata's error bodies (MEF 115.1 section 5 and its siblings): one object, but an array of them with 422."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

REASON_CHARS_MAX: Final = 255
CODES: Final[Mapping[int, frozenset[str]]] = MappingProxyType(
    {
        400: frozenset({"missingQueryParameter", "missingQueryValue", "invalidQuery", "invalidBody"}),
        401: frozenset({"missingCredentials", "invalidCredentials"}),
        403: frozenset({"accessDenied", "forbiddenRequester", "tooManyUsers"}),
        404: frozenset({"notFound"}),
        409: frozenset({"conflict"}),
        422: frozenset(
            {
                "missingProperty",
                "invalidValue",
                "invalidFormat",
                "referenceNotFound",
                "unexpectedProperty",
                "tooManyRecords",
                "otherIssue",
            }
        ),
        500: frozenset({"internalError"}),
        501: frozenset({"notImplemented"}),
    }
)


class ErrorBody(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """`Error400` to `Error501`. `message` holds our agreed form where there is one (`schemas.sonata.refusal`)."""

    code: str
    reason: str
    message: str | None = None
    reference_error: str | None = None
    property_path: str | None = None
