"""Both ends of Sonata: the machinery of a seller and a buyer that can talk to any seller.

`protocols` says what an operator must implement: a `SegmentDesk` whose acts return records. `seller` holds the routes;
it checks envelopes (`asks`), calls the desk, and renders records as envelopes (`envelopes`), so every envelope derives
from the stored request and the domain's own row. `histories` maps leases to Sonata's states, `errors` problems to
error bodies, `listing` filters and pages; `hub` knows whom to tell of changes, `delivery` posts it. The other end is
`buyer`, which writes with `asking` and reads with `answers`, and `listener`, which is told of changes.
"""
