-- Who was who, and when this broker believed it: a chain is the hashes of its statements in `kept`, a comma between two.
CREATE TABLE standing (
    entity TEXT NOT NULL,
    chain TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    PRIMARY KEY (entity, chain)
) STRICT, WITHOUT ROWID;
