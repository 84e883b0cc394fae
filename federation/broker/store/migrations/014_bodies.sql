-- A quote changes its state when it is ordered, its body never: kept in the same row, all of it was written again.
CREATE TABLE quote_bodies (
    id TEXT PRIMARY KEY REFERENCES quotes (id) ON DELETE CASCADE,
    body BLOB NOT NULL
) STRICT;
INSERT INTO quote_bodies (id, body) SELECT id, body FROM quotes;
ALTER TABLE quotes DROP COLUMN body;

-- Which order owns a product of an operator: known once, and not written again with every entry of the journal.
CREATE TABLE products (
    operator TEXT NOT NULL,
    product TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (id),
    PRIMARY KEY (operator, product)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO products (operator, product, order_id)
    SELECT operator, product, order_id FROM segments WHERE product IS NOT NULL;
DROP TABLE segments;
