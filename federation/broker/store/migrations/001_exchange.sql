-- Bodies are JSON of our structs; columns beside them are what is searched, compared or made unique.

CREATE TABLE claims (
    buyer TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer TEXT,
    at_s INTEGER NOT NULL,
    PRIMARY KEY (buyer, key)
) STRICT, WITHOUT ROWID;

-- `state` and `order_id` are the truth; the body holds what never changes.
CREATE TABLE quotes (
    id TEXT PRIMARY KEY,
    buyer TEXT NOT NULL,
    state TEXT NOT NULL,
    order_id TEXT,
    exp INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    buyer TEXT NOT NULL,
    state TEXT NOT NULL,
    finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
    placed_s INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX orders_by_buyer ON orders (buyer, placed_s);
CREATE INDEX orders_unfinished ON orders (id) WHERE finished = 0;

-- One quote is ordered at most once, whoever races.
CREATE TABLE uses (
    quote_id TEXT PRIMARY KEY REFERENCES quotes (id),
    order_id TEXT NOT NULL REFERENCES orders (id)
) STRICT, WITHOUT ROWID;

-- The leases of all orders, by position in the path: which order owns a product of an operator.
CREATE TABLE segments (
    order_id TEXT NOT NULL REFERENCES orders (id),
    position INTEGER NOT NULL,
    operator TEXT NOT NULL,
    product TEXT,
    state TEXT NOT NULL,
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    PRIMARY KEY (order_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX segments_by_product ON segments (operator, product);

CREATE TABLE documents (
    hash TEXT NOT NULL,
    buyer TEXT NOT NULL,
    operator TEXT,
    document TEXT NOT NULL,
    PRIMARY KEY (hash, buyer)
) STRICT, WITHOUT ROWID;
