"""The agreement: what two independent implementations of Peerway must share to interoperate.

One module per noun of the trade (interface, segment, offer, quote, order, lease, intent, price, entity ...),
`sonata/` for the Mplify LSO Sonata envelopes, `proto/mesh/v1/` for the gRPC mesh with its stubs in `gen/`,
`openapi/` for the broker's HTTP face, `vectors/` for golden documents. Small immutable types, integers only,
no transport, no store, no clock. Everything else in the tree may import this package; it imports nothing of ours.
"""
