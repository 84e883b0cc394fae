"""The OpenAPI 3.1 description of the HTTP face, made from the operations and the structs they speak.

`schemas/openapi/broker.yaml` is this document as committed: the agreement that a client is written against. A test
compares the two, so neither changes alone.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final

import msgspec

from federation.broker.api.operations import BASE, KEY_CHARS_MAX, KEY_HEADER, OPERATIONS, PAGE_DEFAULT, Operation
from federation.broker.authority.door import TOKEN_PATH
from federation.broker.orders.protocols import PAGE_MAX
from federation.tokens.endpoint import JWT_BEARER
from schemas.evidence import Profile
from schemas.pattern import published
from schemas.problem import CATALOGUE, Outcome

REF: Final = "#/components/schemas/{name}"
VERSION: Final = "1.0.0"
ABOUT: Final = (
    "One order, many networks: a buyer searches paths across operators, has one quoted, orders, extends and releases "
    "it. Money is integer micro-units with an ISO 4217 code, bandwidth bit/s, latency one-way microseconds, loss and "
    "availability parts per billion, time RFC 3339 UTC. Every write needs an Idempotency-Key; every failure is an "
    "RFC 9457 problem, and a failed write says what it left behind in `outcome`. A refusal is the answer of its key "
    "for good, so that no copy of the request has an effect later: try again with a new key, and with the same only "
    "after 401, 429, 500, 503 and 504. In signed documents and answers, members equal to their default may be left out."
)


def description() -> dict[str, Any]:
    """The whole document."""
    kinds = [kind for operation in OPERATIONS for kind in (operation.body, operation.answer, operation.later) if kind]
    _, components = msgspec.json.schema_components(kinds, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = _operation(operation)
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Peerway broker", "version": VERSION, "description": ABOUT, "license": _LICENSE},
        "security": [{"agent": []}, {"buyer": []}],
        "paths": paths | _PLAIN_PATHS,
        "components": {
            "securitySchemes": _SCHEMES,
            "schemas": {name: _neat(components[name]) for name in sorted(components)} | {"Problem": _problem()},
        },
    }
    neat: dict[str, Any] = published(whole)
    return neat


def _neat(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose description, a docstring, is without the indentation it has in the code."""
    return schema | {"description": cleandoc(schema["description"])} if "description" in schema else schema


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if parameters := _parameters(operation):
        made["parameters"] = parameters
    if operation.body:
        made["requestBody"] = {"required": True, "content": _json(operation.body)}
    answer = {"description": "Done.", "headers": _HEADERS, "content": _json(operation.answer)}
    later = _later(operation.later) if operation.later else {}
    made["responses"] = {str(operation.status): answer} | later | _problems(operation.all_problems)
    return made


def _later(kind: Any) -> dict[str, Any]:
    said = "It takes longer: ask again at the address in Location. Or it will not come, and `state` says why not."
    return {"202": {"description": said, "headers": _HEADERS, "content": _json(kind)}}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = []
    if "{id}" in operation.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if operation.write:
        found.append(_KEY)
    found += [_QUERY[name] for name in operation.query]
    return [*found, _CORRELATOR]


def _json(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return {"application/json": {"schema": schema}}


def _problems(codes: tuple[str, ...]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    content = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    return {
        str(status): {"description": "; ".join(f"{c}: {CATALOGUE[c].title}" for c in named) + ".", "content": content}
        for status, named in sorted(by_status.items())
    }


def _problem() -> dict[str, Any]:
    text, whole = {"type": "string"}, {"type": "integer"}
    return {
        "title": "Problem",
        "description": "RFC 9457. Other members belong to the code: operator at fault, limits that bind, labels free.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": text | {"description": "urn:peerway:problem: and the code in lower case with hyphens"},
            "title": text,
            "status": whole,
            "detail": text | {"description": "What was wrong and what would be right."},
            "code": text | {"enum": sorted(CATALOGUE)},
            "retryable": {"type": "boolean", "description": "Whether the same can succeed later, asked anew."},
            "field": text | {"description": "The part of the input at fault, as a dotted path."},
            "outcome": text | {"enum": [o.value for o in Outcome], "description": "What a failed write left behind."},
            "retry_after_s": whole,
        },
    }


_SCHEMES: Final = {
    "agent": {
        "type": "http",
        "scheme": "dpop",
        "description": "An access token of this broker (`Authorization: DPoP TOKEN`) and a proof of its key in `DPoP`: "
        "RFC 9449. POST /oauth/token gives one for a mandate. A proof for a POST holds a nonce of the broker: "
        "a 401 brings one in `DPoP-Nonce`, as every answer to a proof does.",
    },
    "buyer": {"type": "http", "scheme": "bearer", "description": "A buyer's key, on loopback and closed networks."},
}
_LICENSE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_HEADERS: Final = {
    "x-correlator": {"schema": {"type": "string"}, "description": "As sent, or made by the broker."},
    "Server-Timing": {"schema": {"type": "string"}, "description": "Milliseconds: total, and search where one ran."},
}
_KEY: Final = {
    "name": KEY_HEADER,
    "in": "header",
    "required": True,
    "description": "New for each new request; the same for a repetition, which then has no second effect. It is "
    "remembered for seven days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX},
}
_CORRELATOR: Final = {"name": "x-correlator", "in": "header", "required": False, "schema": {"type": "string"}}
_QUERY: Final = {
    "wait_s": {
        "name": "wait_s",
        "in": "query",
        "required": False,
        "description": "Seconds to wait while it is on its way to another state; the broker may wait less.",
        "schema": {"type": "integer", "minimum": 0, "default": 0},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "How many orders at most; a shorter answer is the last page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    },
    "after": {
        "name": "after",
        "in": "query",
        "required": False,
        "description": "The id of the last order of the page before.",
        "schema": {"type": "string"},
    },
    "profile": {
        "name": "profile",
        "in": "query",
        "required": False,
        "description": "For whom: the buyer sees every document, a regulator no price, countries what may be crossed.",
        "schema": {"type": "string", "enum": [one.value for one in Profile], "default": Profile.BUYER.value},
    },
}
_OPEN: Final[dict[str, Any]] = {"security": [], "responses": {"200": {"description": "Done."}}}
_TOKEN: Final[dict[str, Any]] = {
    "operationId": "token",
    "summary": "An access token for an agent that shows a mandate and a DPoP proof (RFC 6749, 7523, 9396, 9449).",
    "security": [],
    "parameters": [{"name": "DPoP", "in": "header", "required": True, "schema": {"type": "string"}}],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "assertion"],
                    "properties": {
                        "grant_type": {"type": "string", "const": JWT_BEARER},
                        "assertion": {"type": "string", "description": "The mandate, a compact JWS."},
                        "authorization_details": {
                            "type": "string",
                            "description": "JSON list of one authority, no wider than the mandate's.",
                        },
                    },
                }
            }
        },
    },
    "responses": {
        "200": {"description": "access_token, token_type DPoP, expires_in, authorization_details."},
        "400": {"description": "error: one of RFC 6749, 9396, 9449; use_dpop_nonce comes with `DPoP-Nonce`."},
        "503": {"description": "No token now; try again."},
    },
}
_PLAIN_PATHS: Final[dict[str, Any]] = {
    TOKEN_PATH: {"post": _TOKEN},
    "/healthz": {"get": {"operationId": "health", "summary": "Whether the broker serves.", **_OPEN}},
    "/openapi.json": {"get": {"operationId": "openapi", "summary": "This document.", **_OPEN}},
}
