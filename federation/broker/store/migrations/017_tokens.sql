-- Tokens by which nothing was ordered are forgotten: an order needs those from about the time of its quotes.
CREATE TABLE ordered_under (
    buyer TEXT NOT NULL,
    mandate_h TEXT NOT NULL,
    iat INTEGER NOT NULL,
    PRIMARY KEY (buyer, mandate_h, iat)
) STRICT, WITHOUT ROWID;
ALTER TABLE passes ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
CREATE INDEX passes_loose ON passes (iat) WHERE kept = 0;
-- So that all orders say once more under which mandates they stand.
DELETE FROM pinned_quotes;
