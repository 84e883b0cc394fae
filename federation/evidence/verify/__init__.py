"""Whether a bundle of evidence proves a purchase: a pure function of its bytes, the keys of anchors, and a time.

`verify` runs the checks of the bundle's profile and reports each by name; `reading` takes the bundle apart (`format`),
`standing` judges who was who and when (`chains`, `signatures`), `purchase` puts the documents in their order. One file
per matter then holds the checks: `documents`, `path`, `marks` and facts, `policy`, `narrowing`, `hops`, `amounts`,
`bills`, `logs` (inclusion and witnesses), `plausibility`, `complete`. A check that cannot be made has failed.
"""
