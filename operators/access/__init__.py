"""Who speaks and who signs: the gate before any handler, and this operator's own key.

`gate` says which members of the trust domain, as it is believed now, are served, and checks documents with the keys
that it lists for the very entity behind the connection; `admit` is what a broker may ask of this operator, as one pure
answer, with `selling`, its own policy, as the last question. `signer` signs what the operator says.
"""
