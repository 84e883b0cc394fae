"""What can be had now: an intent put to the published offers, and the answer in the buyer's words.

`market.py` keeps the graph of all sheets current and hands out snapshots; `asking.py` (pure) turns an intent into a
query against one snapshot; `searching.py` runs it; `answer.py` (pure) tells what was found, and what was not and why;
`view.py` (pure) describes the federation. Nothing here asks an operator: see `quotes` for that.
"""
