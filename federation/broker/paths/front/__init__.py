"""The paths that no other path beats on every objective: the Pareto front of price, latency and carbon, exactly.

`objective.py` says what an objective is to a solve and to a limit, `point.py` what a path is worth on each. `ends.py`
finds the best path on each objective by itself. What lies between is found by `walk.py`, one search after the other
under a limit that grows stricter, where a kernel takes these; otherwise by `sweep.py`, one label setting that keeps
whatever is not beaten on all objectives (`staircase.py` remembers what is). `search.py` is the way in.
"""
