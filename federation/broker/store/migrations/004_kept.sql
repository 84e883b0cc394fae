-- Texts that quotes rest on, by their hashes: statements, trust marks, status lists, rates and intents, each once.
CREATE TABLE kept (
    hash TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
