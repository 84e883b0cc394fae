"""Finds what operators keep for this broker and no live order owns, says so, and lets it go.

`compare` is the rule (pure): what an operator keeps against what the journal knows. `sweeper` asks every operator,
looks again at whatever is in doubt, and on its rounds releases, declines or has the order look for itself. `views` is
what a buyer, or the broker's owner, may see of it; `protocols` what it needs of a store; `office` says which of several
replicas makes the rounds.
"""
