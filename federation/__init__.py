"""What makes Peerway a federation: what every node runs, the broker, and the ways to reach it.

`trust` (who is who, signing and verifying), `policy` (what may be crossed), `sonata` (the industry's quote and order
machinery) and `node` (seams, storage, listeners) are what every node runs, operators included. `broker` finds
operators, searches paths, quotes and orders; `client` and `cli` are how a buyer reaches a broker.
This package never imports `operators`: it starts their daemons as processes.
"""
