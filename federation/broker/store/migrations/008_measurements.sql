-- What buyers measured of leases in force, as they were answered.
CREATE TABLE measurements (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX measurements_by_order ON measurements (order_id);
