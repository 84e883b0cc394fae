"""What a broker acknowledged, in one SQLite file.

`claims.py`, `quotes.py` and `orders.py` each implement the Protocol of the package that needs them (`ClaimStore`,
`QuoteStore`, `OrderStore`); `sqlite.py` puts them on one database and opens it; `documents.py` files signed documents
by hash; `migrations/` is the schema as numbered SQL, applied forward at start.
"""
