"""From a chosen path to one firm, signed, end-to-end quote.

`labels.py` picks one value per interconnect (pure); `ask.py` writes rfqs; `round.py` asks every operator of
a path in parallel and gathers what was granted and refused; `crankback.py` decides what a refusal means for
the next round (pure); `sign.py` adds the segment quotes up, checks them against the intent again in exact
integers and signs; `quoting.py` drives it within its limits and lets go of every hold it does not use;
`extension.py` does the same for a lease that is to last longer. `protocols.py` states what must be stored.
"""
