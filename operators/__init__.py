"""The operator daemon: one legal entity sells stretches of its own network.

`inventory/` knows the network and what is free in it, `pricing/` what a stretch costs and promises,
`catalog/` what is published, `orders/` carries a quote through hold, order and lease, `access/` is the gate
before any handler, `fabric/` drives the network itself, `store/` keeps what was acknowledged, and `api/`
speaks Sonata and the mesh. `daemon.py` puts them together; `cli/` starts it. Of the federation only the
folders that every node runs are imported here.
"""
