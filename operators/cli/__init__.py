"""The command `peerway-operator`: draft a footprint, run the daemon.

Each command is one module, imported when it is named, so that `--help` answers at once.
"""
