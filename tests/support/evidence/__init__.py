"""A purchase in documents that are really signed, and the bundle that proves it, for tests of the verification.

`cast` holds everybody's keys, chains, marks and logs; `papers` signs what was asked, decided, bought and released;
`bundle` puts a bundle together. A bend changes the claims of one document before it is signed, so that everything after
it is consistent with the lie; a stranger's key signs one document instead of its own.
"""
