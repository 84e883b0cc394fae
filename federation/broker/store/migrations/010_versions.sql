-- How often an order was journaled: an entry replaces the one before it, and none else.
ALTER TABLE orders ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
