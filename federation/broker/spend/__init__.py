"""What is spent under a mandate, and how much of it is left.

`protocols` says what a ledger promises: nothing is spent beyond a mandate under any interleaving, and nothing twice.
`rules` reckons what an order takes from a budget, and refuses what is too much; it is pure. SQLite keeps the ledger in
`federation/broker/store`, one broker per mandate, because a mandate names one.
"""
