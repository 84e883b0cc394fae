"""What was signed and received, so kept that nobody can change or deny it later, and shown to people who trust nobody.

`tree` is the Merkle tree of RFC 9162, `note` signed notes, `checkpoint` what a log signs about its tree and others sign
below it, `witness` the rule by which they do (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-witness): pure.
`log` puts a node's log together from adapters: `sqlite`, `keys`, `sequencer`, which keeps it, `asking`, which asks
witnesses, and `http`. `verify` checks evidence, offline.
"""
