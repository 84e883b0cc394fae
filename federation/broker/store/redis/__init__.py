"""What a broker acknowledged, in a Redis server that its replicas share.

`whereabouts.py` finds the server, `server.py` speaks to it, `fitness.py` judges whether it may be trusted with orders.
`keys.py` is what every store here is made of: read keys, decide in Python, commit in one script (`commit.lua`) unless
what was read is no more. `store.py` puts them together: `orders.py`, `quotes.py`, `spends.py` and the others each
implement the Protocol of the package that needs them, as their twins over SQLite beside this folder do.
"""
