"""The compiled search: the solver's question over numpy arrays, for the two aims that buyers have.

`block` holds one operator's offers as columns and `arrays` all of them, one `Arrays` per graph; `plan` is what one
question admits and what things cost it; `ahead` says how much is at least to come and `search` sets labels. Those two
are plain Python that numba compiles when `compiled` is asked to; uncompiled they are what tests compare with.
`engine` runs them and hands back the labels of `federation.broker.paths.labels`, priced anew from the offers. What
it does not do (`engine.Engine.takes`) is left to `federation.broker.paths.solver`.
"""
