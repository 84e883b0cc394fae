"""A whole federation in one process, in jumping time, from one seed: the real code of operators and brokers.

`lives.py` is one incarnation of a node, which may end at any await; `wire.py` the network, with all that goes wrong;
`sonata.py` how HTTP crosses it; `operator.py` and `broker.py` put the daemons' own parts together over stores that
outlive them; `geography.py` draws who sells what; `buyers.py` want things; `weather.py` makes trouble; `promises.py`
judges once everything is quiet; `run.py` plays one seed, `plans.py` names the kinds of runs.
"""
