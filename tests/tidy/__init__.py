"""The rules that `tests/test_tidy.py` holds the repository to, each a function over a tree of files.

`tree` reads files and imports, `tables` names layers, limits and the exceptions with their reasons;
`imports`, `words`, `budgets`, `habits` and `documents` hold the rules. A rule yields a finding per offence,
so it can be shown to bite on a small bad tree.
"""
