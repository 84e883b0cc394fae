"""A superior of the federation: a trust anchor, an intermediate below one, or an auditor that issues marks.

`books` keeps members, marks, issuers and keys in SQLite; `findings` says what may be attested; `registrar` changes the
books and signs what follows from them; `faces` answers the public (OpenID Federation 1.1, section 8); `hatch` takes the
orders of the person in charge, from another process too; `anchor` is the root that serves a folder. Private keys never
leave the folder.
"""
