"""From a firm path quote to leases that are ACTIVE on every operator or on none, and back to nothing.

`saga/` decides (pure): facts in, what is to be done out. `coordinator.py` is the shell: it journals what was decided
before it acts, one lane per order (`lane.py`), and feeds every answer back; `acts.py` signs documents and asks the
operators; `recovery.py` takes every unfinished order up again at start; `views.py` shows an order to its buyer.
`ownership.py` says which replica carries an order.
`protocols.py` states what the desk calls and what a store must keep.
"""
