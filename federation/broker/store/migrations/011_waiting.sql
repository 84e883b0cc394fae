-- Quotes that some operator has not answered yet; `open` while anything is still to be done about one.
CREATE TABLE waiting (
    id TEXT PRIMARY KEY, buyer TEXT NOT NULL, version INTEGER NOT NULL, open INTEGER NOT NULL, beat_s INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX waiting_open ON waiting (open, id);
