-- The log of what is filed in `documents`; see federation/evidence/sqlite.py.
CREATE TABLE log_queue (place INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE log_leaves (hash TEXT PRIMARY KEY, leaf INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE log_nodes (position INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE log_tree (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;
CREATE TABLE log_checkpoints (kind TEXT PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE logs_witnessed (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER log_documents AFTER INSERT ON documents BEGIN INSERT INTO log_queue (hash) VALUES (new.hash); END;
INSERT INTO log_queue (hash) SELECT hash FROM documents;
