"""Every request and response against the official LSO Sonata files, which `PEERWAY_SONATA_DIR` names.

OpenAPI 3.0 schemas become JSON Schema 2020-12: `nullable` and boolean exclusive bounds are rewritten, members beside
a `$ref` dropped as OpenAPI drops them, and, since the standard forbids attributes that it does not define, every object
is closed with `unevaluatedProperties`. A product configuration is judged by its URN.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from aiohttp import ClientSession, web
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from schemas.segment import SEGMENT_URN

ENV = "PEERWAY_SONATA_DIR"
FILES = {
    "quoteManagement/v10": "quote/quoteManagement.api.yaml",
    "productOrderingManagement/v11": "order/productOrderManagement.api.yaml",
    "productInventory/v8": "inventory/productInventoryManagement.api.yaml",
    "quoteNotification/v10": "quote/quoteNotification.api.yaml",
    "productOrderingNotification/v11": "order/productOrderNotification.api.yaml",
}
METHODS = ("get", "post", "patch", "put", "delete")
ROOT = Path(__file__).resolve().parents[2]
SEGMENT_SCHEMA = json.loads((ROOT / "schemas/jsonschema/segment.v1.json").read_text())
# Annotations of OpenAPI that mean nothing to, or something else in, JSON Schema.
DROPPED = frozenset({"nullable", "discriminator", "example", "externalDocs", "xml", "deprecated"})
OPEN = "MEFProductConfiguration"
formats = FormatChecker(formats=[])


@formats.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    """RFC 3339 section 5.6, by its grammar."""
    shape = r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
    return not isinstance(value, str) or re.fullmatch(shape, value) is not None


FORWARDED = ("Authorization", "Content-Type", "Endpoint-Grant")


class Operation(NamedTuple):
    """One operation of one API: its id, and the media type and schema of each answer, and of the request."""

    api: str
    id: str
    method: str
    path: re.Pattern[str]
    responses: dict[int, tuple[str, dict[str, Any]] | None]
    request: dict[str, Any] | None


def official_folder() -> Path | None:
    """The folder that holds productApi/, if the environment names one."""
    named = os.environ.get(ENV)
    return Path(named) if named else None


needs_official = pytest.mark.skipif(
    official_folder() is None, reason=f"{ENV} does not name the folder of the official Sonata files (with productApi/)"
)


def validate(api: str, operation: str, status: int, body: bytes, content_type: str | None = None) -> None:
    """Assert that `body` is what `operation` (its official operationId) of `api` may answer with `status`."""
    found = next(o for o in operations(api) if o.id == operation)
    assert status in found.responses, f"{operation} declares no {status}: {body[:300]!r}"
    declared = found.responses[status]
    if declared is None:
        assert body == b"", f"{operation} {status} has no body"
        return
    media, schema = declared
    assert content_type in {None, media}, f"{operation} {status}: {content_type}, declared is {media}"
    _check(api, schema, json.loads(body), f"{operation} {status}")


def validate_request(api: str, operation: str, body: bytes) -> None:
    """Assert that `body` is what `operation` of `api` takes."""
    found = next(o for o in operations(api) if o.id == operation)
    assert found.request is not None, f"{operation} takes no body"
    _check(api, found.request, json.loads(body), operation)


def operation_of(method: str, path: str) -> Operation:
    """The operation behind a method and a path below the base, `quoteManagement/v10/quote` for example."""
    api = next(name for name in FILES if path.startswith(f"{name}/"))
    rest = path.removeprefix(api)
    return next(o for o in operations(api) if o.method == method.lower() and o.path.fullmatch(rest))


@lru_cache
def operations(api: str) -> tuple[Operation, ...]:
    """Every operation of an API."""
    paths = _document(api)["paths"]
    return tuple(
        _operation(api, method, path, item[method])
        for path, item in paths.items()
        for method in METHODS
        if method in item
    )


def _operation(api: str, method: str, path: str, found: dict[str, Any]) -> Operation:
    responses = {int(status): _content(response) for status, response in found["responses"].items()}
    request = _content(found["requestBody"]) if "requestBody" in found else None
    pattern = re.compile(re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(path)))
    return Operation(api, found["operationId"], method, pattern, responses, request and request[1])


def _content(found: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    for media, content in found.get("content", {}).items():
        return media, _closed(content["schema"])
    return None


@lru_cache
def _document(api: str) -> dict[str, Any]:
    folder = official_folder()
    assert folder is not None, f"{ENV} is not set"
    text = (folder / "productApi" / FILES[api]).read_text()
    document: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return document


@lru_cache
def _validator(api: str) -> Registry[Any]:
    schemas = {name: _rewritten(schema) for name, schema in _document(api)["components"]["schemas"].items()}
    resource: Resource[Any] = DRAFT202012.create_resource({"components": {"schemas": schemas}})
    registry: Registry[Any] = Registry()
    known: Registry[Any] = registry.with_resource(f"urn:official:{api}", resource)
    return known


def _check(api: str, schema: dict[str, Any], value: object, what: str) -> None:
    text = json.dumps(schema).replace('"#/', f'"urn:official:{api}#/')
    validator = Draft202012Validator(json.loads(text), registry=_validator(api), format_checker=formats)
    errors = [*validator.iter_errors(value), *_configuration_errors(value)]
    shown = [f"{error.json_path}: {error.message[:300]}" for error in errors]
    assert not shown, f"{what} does not fit the official schema: {shown}"


def _configuration_errors(value: object) -> Iterator[Any]:
    for found in _configurations(value):
        assert found.get("@type") == SEGMENT_URN, f"no schema is agreed for {found.get('@type')}"
        yield from Draft7Validator(SEGMENT_SCHEMA, format_checker=formats).iter_errors(found)


def _configurations(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "productConfiguration" in value:
            yield value["productConfiguration"]
        for child in value.values():
            yield from _configurations(child)
    elif isinstance(value, list):
        for child in value:
            yield from _configurations(child)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema where a value is judged as a whole: objects hold declared members only."""
    rewritten = _rewritten(schema)
    reference = rewritten.get("$ref", "")
    if reference.endswith(f"/{OPEN}"):
        return rewritten
    if "$ref" in rewritten or "properties" in rewritten or "allOf" in rewritten:
        return {"allOf": [rewritten], "unevaluatedProperties": False}
    return rewritten


def _rewritten(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    result = {name: value for name, value in schema.items() if name not in DROPPED}
    if schema.get("nullable") and "type" in result:
        result["type"] = [result["type"], "null"]
    for bound in ("Minimum", "Maximum"):
        if result.pop(f"exclusive{bound}", False):
            result[f"exclusive{bound}"] = result.pop(bound.lower())
    if "properties" in result:
        result["properties"] = {name: _closed(value) for name, value in result["properties"].items()}
    if "items" in result:
        result["items"] = _closed(result["items"])
    for several in ("allOf", "oneOf", "anyOf"):
        if several in result:
            result[several] = [_rewritten(value) for value in result[several]]
    return result


class Inspector:
    """A proxy in front of a seller, wherever that runs: judges all that passes and forwards it unchanged."""

    def __init__(self, session: ClientSession, upstream: str) -> None:
        self._session = session
        self._upstream = upstream.rstrip("/")
        self.violations: list[str] = []
        self.seen: Counter[tuple[str, int]] = Counter()

    def app(self) -> web.Application:
        """The proxy; requests go to the same path below `upstream`."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._forward)
        return app

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        url, path = f"{self._upstream}/{request.match_info['path']}", request.match_info["path"]
        async with self._session.request(request.method, url, params=request.query, data=body, headers=headers) as got:
            answer, status, answered = await got.read(), got.status, got.headers
        self._judge(operation_of(request.method, path), body, status, answer, answered.get("Content-Type"))
        passed = {name: answered[name] for name in answered if name == "Content-Type" or name.startswith("X-")}
        return web.Response(status=status, body=answer, headers=passed)

    def _judge(self, operation: Operation, sent: bytes, status: int, answer: bytes, media: str | None) -> None:
        self.seen[(operation.id, status)] += 1
        try:
            if sent and status < 300:
                validate_request(operation.api, operation.id, sent)
            validate(operation.api, operation.id, status, answer, media)
        except AssertionError as error:
            self.violations.append(str(error))


def components(api: str) -> dict[str, dict[str, Any]]:
    """The official schemas of an API, as they stand in its file."""
    found: dict[str, dict[str, Any]] = _document(api)["components"]["schemas"]
    return found
