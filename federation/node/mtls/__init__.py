"""Mutual TLS between nodes: the second listener, and the calls that reach the second listener of others.

`own` keeps this node's authority and leaf in files and renews the leaf; `tls` makes contexts and credentials of them,
which change while connections go on; `callers` says to handlers, of HTTP and of gRPC, which entity speaks; `listen`
opens the listeners. A daemon mounts them in this order: `Own.open`, `Speakers`, `Tls`, `caller_middleware` or
`rpc.Guard`, `listen_https` or `listen_grpc`; then it runs `Own.run` and calls `Tls.refresh` whenever chains change.
"""
