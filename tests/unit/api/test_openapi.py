from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import yaml
from aiohttp.web_urldispatcher import DynamicResource, PlainResource
from jsonschema import Draft202012Validator
from msgspec import json

from federation.broker.api.openapi import description
from schemas.answer import QuoteView, SearchAnswer
from schemas.intent import Intent
from tests.support.exchange import FakeExchange
from tests.support.face import face_of

COMMITTED = Path(__file__).parents[3] / "schemas" / "openapi" / "broker.yaml"
HEADER = "# Made from federation/broker/api; a test compares them. To write it anew:\n"
HEADER += "#   PEERWAY_WRITE_GOLDEN=1 python -m pytest tests/unit/api/test_openapi.py\n"


class PlainDumper(yaml.SafeDumper):
    """Repeats what occurs twice instead of naming it: easier for a reader and for most tools."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def test_the_committed_document_describes_the_code() -> None:
    text = HEADER + yaml.dump(description(), Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=110)
    if os.environ.get("PEERWAY_WRITE_GOLDEN"):
        COMMITTED.write_text(text)
    assert COMMITTED.read_text() == text, "schemas/openapi/broker.yaml differs from the code; its first lines say how"


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    face = face_of(lambda _: FakeExchange())
    served = set()
    for route in face.app().router.routes():
        assert isinstance(route.resource, PlainResource | DynamicResource)
        if route.method != "HEAD":
            served.add((route.method.lower(), route.resource.canonical))
    document = yaml.safe_load(COMMITTED.read_text())
    assert served == {(method, path) for path, item in document["paths"].items() for method in item}


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    document = yaml.safe_load(COMMITTED.read_text())
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def answers() -> tuple[SearchAnswer, QuoteView]:
    exchange = FakeExchange()
    intent = Intent(a="A", z="B", bandwidth_bps=1, duration_s=60)
    return await exchange.search(intent, 1), await exchange.quote(intent, "k")


def test_real_answers_fit_the_document() -> None:
    document = yaml.safe_load(COMMITTED.read_text())
    for answer in asyncio.run(answers()):
        schema = {"$ref": f"#/components/schemas/{type(answer).__name__}", "components": document["components"]}
        Draft202012Validator(schema).validate(json.decode(json.encode(answer)))


def test_every_write_needs_a_key_and_every_answer_has_problems() -> None:
    document = yaml.safe_load(COMMITTED.read_text())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            names = {p["name"] for p in operation.get("parameters", [])}
            write = method == "post" and not path.endswith(("/search", "/oauth/token"))
            assert ("Idempotency-Key" in names) == write, path
            if "peerway" in path:
                assert {"400", "401", "500"} <= set(operation["responses"]), path


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []
