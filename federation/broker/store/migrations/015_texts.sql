-- Texts that nobody needs any more are forgotten: since when they are as they were is told to the day, and what orders and
-- chains rest on is pinned.
ALTER TABLE kept ADD COLUMN at_s INTEGER NOT NULL DEFAULT 0;
UPDATE kept SET at_s = CAST(strftime('%s', 'now') AS INTEGER);
CREATE TABLE pinned (hash TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE pinned_quotes (quote_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO pinned (hash)
    SELECT value FROM standing, json_each('["' || replace(chain, ',', '","') || '"]');
