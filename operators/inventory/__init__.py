"""What the operator has, and what of it is free when.

`footprint` is the file that describes the network, `topology` finds routes in it, `calendar` keeps capacity
and label values over time, and `ledger` admits a whole claim (every internal link, both interfaces, both
labels) or nothing. `sources`, the only module that touches other people's data sets, with `survey`,
`meeting` and `drafting` writes a first footprint from a published topology. All but `sources` are pure: no
clock, no file, no network.
"""
