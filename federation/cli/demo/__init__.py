"""`peerway demo`: a whole federation on this machine, one purchase, and every claim checked.

`cast` says who plays, with invented rates and attestations; `stage` writes the throwaway trust domain, footprints and
configurations, `buyer` the mandate under which its agent buys; `ports` reserves addresses before they are signed into
metadata; `processes` starts every node as its own process and leaves none behind. `scenario` is the purchase in five
steps, the last of them `proof`, `crowd` the federation of all published footprints; `claims` are what a step asserts of
itself, `report` is what a person reads. `command` ties them together.
"""
