"""The broker's faces: transports over the same application layer, none of them with a rule of its own.

`operations` lists every operation of the HTTP face once; `http` serves it with aiohttp, `openapi` describes it, and a
test compares both with `schemas/openapi/broker.yaml`. `tools` are the MCP tools over anything that can buy a path;
`mcp` serves them as streamable HTTP for the buyers of this broker, `agent` over standard input for one buyer. `faces`
opens and closes the listeners.
"""
