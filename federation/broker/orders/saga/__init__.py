"""The decision core of an order: no I/O, no clock, no randomness; the whole of it can be explored in a test.

`state.py` is what is known and journaled, `events.py` what may become known, `effects.py` what may be done. `decide.py`
joins them in three steps: `fold.py` notes an answer as a fact of one segment, `advance.py` draws the conclusion for the
path, `due.py` says what should be going on now. Because effects follow from the state alone, a restart has nothing to
remember: it asks `due` again. `extension.py` does the same for a longer window or another bandwidth, `handing.py` for
one order in place of another; `agree.py` compares receipts along the path, `claims.py` writes the documents to be
signed, `bill.py` adds up, `pace.py` holds every limit and the backoff.
"""
