"""The paths that no other path beats on every objective: the Pareto front of price, latency and carbon, exactly.

`objective.py` says what an objective is to a solve and to a limit, `point.py` what a path is worth on each. `ends.py`
finds the best path on each objective by itself; `walk.py` finds the rest, cheapest first, by searches for one best
path under limits that leave out all that is beaten; `region.py` keeps what they leave. `search.py` is the way in.
"""
