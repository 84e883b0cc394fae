"""A primary path and a backup that share nothing of a kind, of least total: optimal as a pair (pure).

`items` tells what of a path the other must not have, and what is exempt because an end leaves no choice; `barred` turns
what one path must avoid into a query for the ordinary search; `side` solves those, each once. `pairing` is the branch
and bound over what either path may not use, `finding` the way in: the pair, or why there is none.
"""
