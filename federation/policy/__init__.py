"""What may be bought where, judged on facts that an auditor attested and on nothing else.

`limits` (pure) holds an intent's sovereignty limits against one operator's verified attestation, route class by
route class, and gives every refusal a reason that a person understands. A fact that nobody attests counts as
missing, and what is missing is refused.
"""
