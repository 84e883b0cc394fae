"""The command line of an operator, `peerway-operator`.

`serve` runs daemons until they are told to stop, `sample` prints a commented configuration, `footprint` drafts the
file that describes an operator's network from a published topology, `approvals` answers by hand. Commands are imported
when they are called.
"""
