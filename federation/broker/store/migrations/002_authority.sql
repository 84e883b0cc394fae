-- What is taken from each mandate's budget; the check is the last line of defence, the rules refuse before it.
CREATE TABLE budgets (
    mandate_h TEXT PRIMARY KEY,
    buyer TEXT NOT NULL,
    ccy TEXT NOT NULL,
    total_micro INTEGER NOT NULL,
    taken_micro INTEGER NOT NULL DEFAULT 0 CHECK (taken_micro BETWEEN 0 AND total_micro)
) STRICT, WITHOUT ROWID;

-- `micro` is what an expense takes now: what was set aside, then what it came to. The body holds what was asked.
CREATE TABLE expenses (
    id TEXT PRIMARY KEY,
    mandate_h TEXT NOT NULL REFERENCES budgets (mandate_h),
    state TEXT NOT NULL,
    micro INTEGER NOT NULL CHECK (micro >= 0),
    body BLOB NOT NULL
) STRICT;
CREATE INDEX expenses_reserved ON expenses (id) WHERE state = 'RESERVED';

-- Ids of proofs that were seen; see federation/tokens/sqlite.py.
CREATE TABLE replay (key BLOB PRIMARY KEY, until_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX replay_by_end ON replay (until_s);
