"""What the federation offers now, as the broker sees it.

`sheet.py` (pure) holds one operator's verified sheet and applies deltas; `watch.py` keeps one sheet fresh,
a task per operator; `federation.py` gathers the sheets into one graph, of which a query takes a snapshot;
`endpoints.py` (pure) reads what a buyer calls a place; `view.py` (pure) describes the federation. Only what
an operator signed gets in.
"""
