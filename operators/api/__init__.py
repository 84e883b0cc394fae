"""How others reach the operator: Sonata and documents over HTTP, the mesh over gRPC.

`http` mounts the Sonata machinery over the desk, signed documents by their hash, and a health check; `mesh` serves
`mesh.v1`; `hatch` is for the operator's own person, over a socket. The others listen with TLS behind the same guard,
which knows callers by their certificates, and neither decides anything.
"""
