"""A federation in one process and in jumping time: operators under the real lease rules, a network that loses things.

`operator.py` is an operator in memory; `network.py` the peer through which a broker reaches it, with every fault that a
network has; `memory.py` the broker's store; `broker.py` one incarnation of a broker, which a crash fences off;
`run.py` plays a scenario from a seed; `promises.py` says what must hold once everything is quiet.
"""
