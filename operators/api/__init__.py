"""How others reach the operator: Sonata and documents over HTTP, the mesh over gRPC.

`http` mounts the Sonata machinery over the desk, signed documents by their hash, and a health check; `mesh` serves
`mesh.v1` with bearer keys, deadlines and message caps. Both ask the gate who calls, and neither decides anything.
"""
