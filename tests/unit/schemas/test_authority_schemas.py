"""The JSON Schemas of what buyers and owners sign are those of the code, and refuse what the code refuses.

To write them anew: PEERWAY_WRITE_GOLDEN=1 python -m pytest tests/unit/schemas/test_authority_schemas.py
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas.authority import AUTHORITY_TYPE, Authority
from schemas.grant import EndpointGrant
from schemas.mandate import Mandate
from schemas.pattern import published
from tests.support import vectors

FOLDER = Path(__file__).parents[3] / "schemas" / "jsonschema"
KINDS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "authority.v1": (Authority, AUTHORITY_TYPE),
    "mandate.v1": (Mandate, "urn:peerway:spec:mandate:v1"),
    "endpoint-grant.v1": (EndpointGrant, "urn:peerway:spec:endpoint-grant:v1"),
}
GOLDEN = json.loads(vectors.PATH.read_text())["documents"]
EXAMPLES = {
    "authority.v1": GOLDEN["mandate+jwt"]["claims"]["authorization_details"][0],
    "mandate.v1": GOLDEN["mandate+jwt"]["claims"],
    "endpoint-grant.v1": GOLDEN["endpoint-grant+jwt"]["claims"],
}


def schema(name: str) -> dict[str, Any]:
    """The schema of a kind, with its descriptions as paragraphs."""
    kind, urn = KINDS[name]
    made = msgspec.json.schema(kind)
    for definition in made["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": urn} | published(made)


@pytest.mark.parametrize("name", KINDS)
def test_the_committed_schema_is_that_of_the_code(name: str) -> None:
    path, text = FOLDER / f"{name}.json", json.dumps(schema(name), indent=1) + "\n"
    if os.environ.get("PEERWAY_WRITE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} differs from the code; this file's first lines say how to write it"
    Draft202012Validator.check_schema(json.loads(text))


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_takes_the_golden_document_and_nothing_undeclared(name: str) -> None:
    validator, example = Draft202012Validator(schema(name)), EXAMPLES[name]
    validator.validate(example)
    assert not validator.is_valid(example | {"extra": 1})
    required = {field.name for field in msgspec.structs.fields(KINDS[name][0]) if field.required}
    for member in example:
        left = {key: value for key, value in example.items() if key != member}
        assert validator.is_valid(left) is (member not in required), member
