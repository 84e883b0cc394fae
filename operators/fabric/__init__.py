"""Drives the operator's own network, which stays its own: a driver per kind of network, chosen by name.

`driver` is the Protocol, with what one segment needs of a network, and finds drivers by the entry-point group
`peerway.fabric`; `null` is the one that drives nothing and remembers what it was told.
"""
