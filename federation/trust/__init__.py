"""Who is who, and which signed bytes to believe.

`keys` and `jose` sign and verify compact ES256 JWS; `merkle` hashes lists of documents; `chain` turns the files of a
trust domain and locally configured anchors into members whose keys and metadata may be used. All of these are pure:
bytes, keys and a time go in, a trusted object or a `Problem` comes out. `belief` is what
they were verified from, to be kept beside a decision. `domain` reads a trust domain's folder, `issue` and `throwaway`
make one.
"""
