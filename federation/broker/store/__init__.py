"""What a broker acknowledged: in one SQLite file, or with `redis/` in a server that its replicas share.

`claims.py`, `quotes.py`, `orders.py` and the others each implement the Protocol of the package that needs them
(`ClaimStore`, `QuoteStore`, `OrderStore`) over SQLite; `sqlite.py` puts them on one database and opens it;
`documents.py` files signed documents by hash; `migrations/` is the schema as numbered SQL, applied forward at start.
`opened.py` opens whichever store the configuration asks for.
"""
