"""Attacks on identity and authority, each shown twice: refused as things are, and won where one control is off.

`table` says it all: threat, control, the one name that is replaced to switch it off, attack. The attackers are a
hostile `agent`, `broker`, `operator`, `registry`, `forger` and `liar`; an attack returns when it has won, and raises
when it was refused.
"""
