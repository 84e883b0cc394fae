-- The tokens of agents and operators, and what they were asked for with, by the mandate that they stand on.
CREATE TABLE passes (
    buyer TEXT NOT NULL,
    mandate_h TEXT NOT NULL,
    iat INTEGER NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (buyer, mandate_h, iat, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX quotes_by_order ON quotes (order_id) WHERE order_id IS NOT NULL;
