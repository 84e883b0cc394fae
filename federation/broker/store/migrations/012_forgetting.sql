-- What is forgotten one day is found by its age: keys of requests, and quotes that nobody ordered.
CREATE INDEX claims_by_time ON claims (at_s);
CREATE INDEX quotes_unordered ON quotes (exp) WHERE state != 'COMMITTED';
