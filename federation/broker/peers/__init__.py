"""What the broker knows of one operator: a peer to ask, and nothing of how it is reached.

`protocols.py` states what discovery, quotes and orders need of an operator (`OperatorPeer`) over our structs and
`Problem`s only; `operator.py` is the real one, over Sonata for commerce and gRPC for the mesh; `verify.py` holds the
pure checks every answer passes before a rule sees it; `pseudonym.py` names a buyer to an operator, `news.py` wakes
whoever waits for one. Whatever comes out of a peer is signed by that operator, addressed to this broker and chained to
what was asked.
"""
