"""Mutual TLS between nodes: the second listener, and the calls that reach the second listener of others.

`own` keeps this node's authority and leaf in files and renews the leaf; `tls` makes contexts and credentials of them,
which change while connections go on; `renewed` holds the sessions and channels of calls. A daemon opens `Own`, builds
`Speakers` from the verified members and `Tls` from both, gives `Tls.server_context` to `http.listen` and
`Tls.server_credentials` to its gRPC server, mounts the middlewares of `federation.node.callers` and the `Guard` of
`federation.node.rpc`, runs `Own.run(tls.refresh)`, and calls `Speakers.believe` and `Tls.refresh` when chains change.
"""
