"""LSO Sonata (Mplify, release Kylie) as far as Peerway speaks it: what a buyer and a seller both must know.

`quote`, `order` and `inventory` hold the envelopes of quoteManagement/v10, productOrderingManagement/v11 and
productInventory/v8; `parts` what they share; `states` the state tables; `errors` the error bodies; `segment` the
product configuration `urn:peerway:spec:segment:v1`; `refusal` how one of our problems travels inside an envelope;
`amounts` integer money as Sonata decimals.
"""
