-- Documents one after the other, as they are filed, and found by an index over their hashes: kept in the order of these,
-- every document went to a page somewhere else, which was written with it.
DROP TRIGGER log_documents;
ALTER TABLE documents RENAME TO documents_before;
CREATE TABLE documents (
    hash TEXT NOT NULL,
    buyer TEXT NOT NULL,
    agent TEXT,
    operator TEXT,
    document TEXT NOT NULL,
    PRIMARY KEY (hash, buyer)
) STRICT;
INSERT INTO documents (hash, buyer, agent, operator, document)
    SELECT hash, buyer, agent, operator, document FROM documents_before;
DROP TABLE documents_before;
CREATE TRIGGER log_documents AFTER INSERT ON documents BEGIN INSERT INTO log_queue (hash) VALUES (new.hash); END;
