"""Who speaks and who signs: the gate before any handler, and this operator's own key.

`gate` knows brokers by the bearer keys of the configuration, and checks documents with the keys that the trust domain
lists for the very entity the bearer key belongs to; members come from this operator's own verified copy of it.
`signer` signs what the operator says.
"""
