"""Real daemons killed, stopped or out of disk in the very middle of their work, and what must hold afterwards.

Actors: `points` runs inside a daemon and does to it what a file beside its configuration says; `Strike` is one such
blow, drawn from a seed; `lives` are purchases of buyers who insist, with the same keys, until they are answered;
`books` is what operators have on disk; a `Campaign` strikes while lives are lived and judges what came of them.
"""
