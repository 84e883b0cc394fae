"""Carries a quote through hold, order and lease, exactly once and never oversold.

`fsm` holds the rows and their transitions (pure), `admission` and `caps` the rules of what may be quoted and held.
`desk` is what the Sonata machinery calls; `quoting`, `ordering`, `confirming` and `lifecycle` are its thin handlers,
all over one `shop`: check and decide in memory, write in one transaction, answer. `keeping` says what they need of a
store, `receipts` signs, `telling` says who is told, `timers` makes the steps that time makes, `recovery` puts all of
it back after a restart.
"""
