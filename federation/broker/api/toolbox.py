"""The shape of an MCP tool of ours: strict arguments in, small structured answers out, problems as they are.

The SDK's own argument models ignore unknown members and describe a mistake in the words of their library. A
`StrictTool` decodes arguments with the struct that its published schema was made from, and answers every `Problem` as
an error result whose structured content is the problem: an agent reads `code`, `field` and `outcome`, not prose.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from mcp.server.mcpserver.tools.base import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import PrivateAttr

from federation.broker.api.exchange import Exchange
from federation.node.config import explain
from schemas.pattern import published
from schemas.problem import Outcome, Problem, invalid

log = logging.getLogger(__name__)


class ToolRow(NamedTuple):
    """A tool as we describe it: `run` gets the buyer's exchange and the decoded arguments."""

    name: str
    title: str
    description: str
    arguments: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    run: Callable[[Exchange, Any], Awaitable[msgspec.Struct]]
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    named: Mapping[str, str] = {}  # its arguments, by what the broker calls the same in a problem


class StrictTool(Tool):
    """A row as the SDK serves it."""

    _row: ToolRow = PrivateAttr()
    _exchange_of: Callable[[], Exchange] = PrivateAttr()

    async def run(self, arguments: dict[str, Any], context: Any, convert_result: bool = False) -> CallToolResult:
        """Decode, run, encode; never raises."""
        try:
            asked = _decode(arguments, self._row.arguments)
            return _success(await self._row.run(self._exchange_of(), asked))
        except Problem as problem:
            return _failure(_named(problem, self._row.named), write=not self._row.read_only)
        except Exception:
            log.exception("unexpected fault in the tool %s", self._row.name)
            fault = Problem("INTERNAL", "the fault is in the broker's log, not in your request")
            return _failure(fault if self._row.read_only else fault.with_outcome(Outcome.UNKNOWN))


def strict_tool(row: ToolRow, exchange_of: Callable[[], Exchange]) -> StrictTool:
    """A tool for `MCPServer(tools=...)`; `exchange_of` is asked on every call, because each may be another buyer's."""
    parameters = inlined_schema(row.arguments)
    metadata = FuncMetadata(arg_model=ArgModelBase, output_schema=inlined_schema(row.answer))
    tool = StrictTool(
        fn=row.run,
        name=row.name,
        title=row.title,
        description=row.description,
        parameters=parameters,
        fn_metadata=metadata,
        is_async=True,
        context_kwarg=None,
        annotations=ToolAnnotations(
            title=row.title,
            read_only_hint=row.read_only,
            destructive_hint=row.destructive,
            idempotent_hint=row.idempotent or row.read_only,
            open_world_hint=True,
        ),
    )
    tool._row, tool._exchange_of = row, exchange_of
    return tool


def inlined_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a struct with an object at its root, as MCP wants it."""
    (reference,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for schema in components.values():
        schema.pop("description", None)  # docstrings are for our readers; an agent reads the members' descriptions
    root: dict[str, Any] = components.pop(reference["$ref"].rpartition("/")[2])
    whole: dict[str, Any] = published(root | ({"$defs": components} if components else {}))
    return whole


def _decode(arguments: dict[str, Any], kind: type[msgspec.Struct]) -> Any:
    try:
        json.dumps(arguments, ensure_ascii=False).encode()  # an escape may spell half a character
        return msgspec.convert(arguments, kind)
    except (UnicodeEncodeError, RecursionError) as error:
        raise invalid("arguments", "half a character, or nested without end") from error
    except msgspec.ValidationError as error:
        field, why = explain(error, kind)
        raise invalid(field or "arguments", why) from error


def _named(problem: Problem, names: Mapping[str, str]) -> Problem:
    """The same problem, of the argument that is at fault."""
    field = (problem.field or "").removeprefix("intent.")
    return problem.with_field(names.get(field, field)) if field else problem


def _success(answer: msgspec.Struct) -> CallToolResult:
    body = msgspec.to_builtins(answer)
    text = msgspec.json.encode(answer).decode()
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=body)


def _failure(problem: Problem, *, write: bool = False) -> CallToolResult:
    known = problem.with_outcome(Outcome.NONE) if write and problem.outcome is None else problem
    text = f"{known.code}: {known}"
    body = msgspec.to_builtins(known.as_dict())
    # Some agents see the text alone: it holds the problem too, with what would help.
    told = [text, msgspec.json.encode(body).decode()]
    return CallToolResult(
        content=[TextContent(type="text", text=one) for one in told], structured_content=body, is_error=True
    )
