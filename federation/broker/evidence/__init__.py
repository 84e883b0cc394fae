"""The evidence of an order, gathered from what this broker filed when it happened.

`gathering` finds the documents of a purchase, what they rest on and where they stand in the log, and has a bundle made
of it; `protocols` is what it needs of a store, of the log and of operators. Which documents name which, and what
belongs into a bundle, is for `federation/evidence/verify/bundle.py`.
"""
