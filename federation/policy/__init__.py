"""What may be bought where, judged on facts that an auditor attested and on nothing else (all pure but `folder`).

`facts` makes subjects of verified marks, `reading` and `engine` load Cedar policies and give Cedar's verdict;
`clauses`, `values`, `predicate` and `words` read the same policy as a fast predicate with reasons, to prune a search.
`catalogue` knows which apply to an intent, `context` what they may ask besides facts, `folder` reads texts, `cases`
tries them. `limits` holds an intent's own lists against the same facts. What nobody attests is missing, and refused.
"""
