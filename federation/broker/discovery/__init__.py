"""What the federation offers now, as the broker sees it.

`sheet.py` (pure) holds one operator's verified sheet and applies deltas; `watch.py` keeps one sheet fresh, a task per
operator, at the pace of `pace.py`; `federation.py` gathers them into `Known` (`known.py`), replaced as a whole with
every change; `endpoints.py`, `capabilities.py` and `places.py` (pure) read what a buyer calls a place to reach, what it
leads to, and where not to pass. Only what an operator signed gets in.
"""
