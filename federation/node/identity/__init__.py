"""What a node is to others and whom it believes: its key files, its public listener, the members of its trust domain.

`keyfile` follows files of keys that are replaced while the node runs; `former` remembers the keys that it had;
`presence` says who it is to anybody who asks (OpenID Federation 1.1, section 9), signed anew in time; `membership`
keeps the trust domain as it is believed now, from the anchors down or from a folder.
"""
