"""What can be had now: an intent put to the published offers, and the answer in the buyer's words.

`market.py` keeps the graph of all sheets current and hands out snapshots; `asking.py` (pure) turns an intent into a
query against one snapshot; `searching.py` runs it; `answer.py` tells what was found and why it is the best, `costs.py`
what limits cost, `obstacles.py` what stands in the way and what would help, `views.py` and `words.py` how paths and
quantities read (all pure); `view.py` describes the federation, `memory.py` what it takes. No operator is asked.
"""
