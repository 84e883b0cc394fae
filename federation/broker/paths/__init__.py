"""Which paths there are, and which is best: exact, over what every operator publishes (pure: no I/O, no clock).

`network` holds one operator's offers as arcs, `graph` joins the networks where both sides name each other; `query`
says what is asked, `usable` (by `rules`) what of the graph serves it; `renewal` changes prices while a network stays,
`recall` keeps what a question found out for the next one alike. `meter` prices a segment as it will be billed,
`bounds` says how much is at least to come, `labels` and `solver` find the optimum within some `work`, `alternatives`
the next best, `assembly` computes it all again from the offers. `search` is the way in, `route` what it finds.
`nearest` settles which end is meant. `infeasible` says which limits stand in the way and, with `inquiry`, `least` and
`changes`, which changes help; `costs` what limits cost where there is a path.
"""
