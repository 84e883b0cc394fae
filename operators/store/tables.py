"""The schema, migration by migration. A released one is never edited; a change is a new one at the end."""

from __future__ import annotations

from typing import Final

from federation.evidence.sqlite import TABLES as LOG
from federation.tokens.sqlite import TABLE

FIRST: Final = """
CREATE TABLE quotes (
    id TEXT PRIMARY KEY, broker TEXT NOT NULL, external_id TEXT, hash TEXT UNIQUE, rfq_hash TEXT,
    state TEXT NOT NULL, created_at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX quotes_of_broker ON quotes (broker, external_id);
CREATE INDEX quotes_by_state ON quotes (state, created_at);
CREATE TABLE leases (
    id TEXT PRIMARY KEY, broker TEXT NOT NULL, state TEXT NOT NULL, created_at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX leases_of_broker ON leases (broker);
CREATE INDEX leases_by_state ON leases (state);
CREATE TABLE orders (
    id TEXT PRIMARY KEY, broker TEXT NOT NULL, external_id TEXT, created_at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX orders_of_broker ON orders (broker, external_id);
CREATE TABLE cancels (
    id TEXT PRIMARY KEY, broker TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE claims (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE documents (hash TEXT PRIMARY KEY, broker TEXT NOT NULL, token TEXT NOT NULL);
CREATE TABLE seen (
    iss TEXT NOT NULL, jti TEXT NOT NULL, hash TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY (iss, jti)
);
CREATE INDEX seen_by_ref ON seen (ref);
CREATE TABLE requests (id TEXT PRIMARY KEY, body BLOB NOT NULL);
"""

HUBS: Final = """
CREATE TABLE hubs (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, hub TEXT NOT NULL, url TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX letters_of_hub ON letters (hub);
"""

# Every tree that a commit touches is a page or more to be written. A row is found by its key in the tree that holds it
# where it is small; what is over is in no index that only a start asks for; who has seen what is known to its quote.
FEWER: Final = """
CREATE TABLE fewer (
    iss TEXT NOT NULL, jti TEXT NOT NULL, hash TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY (iss, jti)
) WITHOUT ROWID;
INSERT INTO fewer SELECT iss, jti, hash, ref FROM seen;
DROP TABLE seen;
ALTER TABLE fewer RENAME TO seen;
CREATE TABLE fewer (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO fewer SELECT id, body FROM claims;
DROP TABLE claims;
ALTER TABLE fewer RENAME TO claims;
ALTER TABLE leases ADD COLUMN over INTEGER NOT NULL DEFAULT 0;
UPDATE leases SET over = state IN ('FAILED', 'RELEASED');
DROP INDEX leases_by_state;
ALTER TABLE leases DROP COLUMN state;
CREATE INDEX leases_open ON leases (over) WHERE NOT over;
"""

MIGRATIONS: Final = (FIRST, TABLE, LOG, HUBS, FEWER)
