-- The key of the agent that a document is for; null for the buyer itself. Quotes and orders have it in their bodies.
ALTER TABLE documents ADD COLUMN agent TEXT;

-- Mandates that their buyers took back.
CREATE TABLE revocations (
    buyer TEXT NOT NULL,
    mandate_h TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    PRIMARY KEY (buyer, mandate_h)
) STRICT, WITHOUT ROWID;
