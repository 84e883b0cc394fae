"""Several replicas of one broker on one Redis server: who does what, and how the others take it over.

Every order that is not over is announced on a stream (`announcements.py`); its consumer group says which replica
carries it. `carrying.py` keeps what is ours by looking at it, takes over what nobody looked at for a while, and tells
the coordinator. `news.py` says what was journaled, so that others look sooner. `leases.py` is for what one replica at a
time may do: a request under an idempotency key (`Turns`), an office such as the sweeper's (`Leadership`). `secret.py`
keeps the one secret that all must have; `lives.py` says which replica a process is, and whether the one before it is
certainly gone; `replica.py` puts one replica's part together.
"""
