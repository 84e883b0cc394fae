"""The compiled search: the solver's question over numpy arrays, for the two aims that buyers have most.

`block` holds one operator's offers as columns, `arrays` all of them, one `Arrays` per graph, `live` what of them
changes every second; `plan` is what one question admits and what things cost it; `ahead` says how much is at least to
come (`landmarks` how far apart things are) and `search` sets labels (`label`, queued by `heaps`). These are plain
Python that numba compiles when `compiled` is asked to; uncompiled they are what tests compare with. `engine` runs them
and `replay` tells a path again, priced anew from the offers. What `engine` does not take is left to `paths.solver`.
"""
