"""What a Python user could pick instead, each at the setting that did best, behind one small Protocol.

`peer` is the Protocol. `nx` is networkx, `rx` rustworkx, `csgraph` scipy: shortest paths without limits. `cspy_search`
is cspy, the only exact peer for paths under a limit, and `milp` HiGHS, which is too slow to compete and exact beyond
doubt: set-up and minimum per segment and no second entry are in its model.
"""
