"""From a chosen path to one firm, signed, end-to-end quote.

`labels.py` picks one value per interconnect (pure); `ask.py` writes and signs rfqs; `hand.py` asks operators in
parallel and keeps what they granted; `crankback.py` says what a refusal rules out (pure); `tally.py` adds segment
quotes up in exact integers (pure); `seal.py` signs the path-quote and shows it. `quoting.py` drives it all within its
limits and lets go of every hold it does not use; `extension.py` does so for a lease that is to be changed. Where
operators take long, `slow.py` carries a quote through crashes: `waiting.py` and `journal.py` keep it, `patient.py` and
`lasting.py` ask. `protocols.py` states what must be stored.
"""
